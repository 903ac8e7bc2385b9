internal import FXSystem
internal import SystemPackage

/// Looking: nothing here changes anything.
extension FileExchange {
    /// The entries of a directory below a type, by name in byte order; its subdirectories' not among them.
    /// - Throws: `notFound`, `wrongKind`, `accessDenied`.
    public func listTypeContent(
        _ type: TypeAddress, _ folder: FolderPath = .root, _ page: Page = .all
    ) throws(ExchangeError) -> FileList {
        let open = try open(type)
        let directory = try open.folder(folder)
        let names = try directory.names()
        return FileList(files: try directory.entries(page.part(of: names)), total: names.count)
    }

    /// The entries of all mapped directories of an entity, by name, then by type. A type whose directory cannot be read is
    /// named in the list's `unavailable`.
    /// - Throws: `noSuchEntity`.
    public func listContent(of entity: EntityName, _ page: Page = .all) throws(ExchangeError) -> FileList {
        let types = try rows(of: entity)
        var found: [(name: Name, type: Int)] = []
        var open: [OpenType] = []
        var unavailable: [TypeAddress] = []
        for row in types where row.status == .mapped {
            let address = TypeAddress(row.entity, row.name)
            do throws(ExchangeError) {
                let type = try self.open(address)
                let names = try type.folder(.root).names()
                found += names.map { ($0, open.count) }
                open.append(type)
            } catch { unavailable.append(address) }
        }
        found.sort { $0.name == $1.name ? $0.type < $1.type : $0.name < $1.name }
        var folders: [Int: [FileEntry]] = [:]
        let wanted = page.part(of: found)
        for (index, group) in Dictionary(grouping: wanted, by: \.type) {
            folders[index] = try open[index].folder(.root).entries(group.map(\.name))
        }
        return FileList(
            files: merged(wanted, folders), total: found.count, unavailable: unavailable)
    }

    /// True for a file, a directory or anything else of that name; a symbolic link counts whether or not it leads anywhere.
    /// - Parameter file: made of `relPath` alone, whose last component is the file's own name.
    /// - Throws: `accessDenied` when the way there is barred.
    public func existsFile(_ file: FileAddress) throws(ExchangeError) -> Bool {
        do throws(ExchangeError) {
            return try open(file.type).folder(file.folder, .pathOnly).statusIfPresent(of: file.name) != nil
        } catch {
            switch error {
            case .notFound, .wrongKind: return false
            default: throw error
            }
        }
    }

    /// What this process may do with a directory below a type, under its policy.
    /// - Throws: `notFound`, `wrongKind`, `accessDenied`.
    public func getAccessMode(_ type: TypeAddress, _ folder: FolderPath) throws(ExchangeError) -> AccessMode {
        guard let name = folder.path.name else {
            let open = try open(type)
            return open.mode(of: open.root.descriptor.access())
        }
        let file = FileAddress(type, FolderPath(folder.path.parent), name)
        let entry = try getFileInfo(file)
        if !entry.isDirectory { throw .wrongKind("\(file)", .notDirectory) }
        return entry.access
    }

    /// What this process may do with a file or directory, under the type's policy; nothing for a symbolic link.
    /// - Throws: `notFound`, `accessDenied`.
    public func getAccessMode(_ file: FileAddress) throws(ExchangeError) -> AccessMode {
        try getFileInfo(file).access
    }

    /// - Throws: `notFound`, `accessDenied`.
    public func getFileInfo(_ file: FileAddress) throws(ExchangeError) -> FileEntry {
        let folder = try open(file.type).folder(file.folder, .pathOnly)
        return folder.entry(file.name, try folder.status(of: file.name))
    }

    // MARK: Within

    /// The entries of each type, back in the order in which they were wanted.
    private func merged(_ wanted: [(name: Name, type: Int)], _ entries: [Int: [FileEntry]]) -> [FileEntry] {
        var left = entries.mapValues { Dictionary(grouping: $0, by: \.name) }
        return wanted.compactMap { item in
            left[item.type]?[item.name.exchangedText]?.popLast()
        }
    }
}

extension OpenType {
    /// What the policy leaves of what the system allows.
    func mode(of allowed: AllowedAccess) -> AccessMode {
        var mode: AccessMode = []
        if allowed.reads { mode.insert(.read) }
        if allowed.writes, root.policy != .readOnly { mode.insert(.write) }
        if allowed.executes { mode.insert(.execute) }
        return mode
    }
}

extension Folder {
    /// In byte order.
    borrowing func names() throws(ExchangeError) -> [Name] {
        do throws(Errno) {
            return try descriptor.entryNames().filter { !MappedRoot.isReserved($0) }.sorted()
        } catch { throw type.failure(error, path.path) }
    }

    /// What has vanished since it was listed is left out.
    borrowing func entries(_ names: [Name]) throws(ExchangeError) -> [FileEntry] {
        var entries: [FileEntry] = []
        entries.reserveCapacity(names.count)
        for name in names {
            do throws(Errno) { entries.append(entry(name, try descriptor.status(of: name))) } catch {
                if error != .noSuchFileOrDirectory { throw failure(error, name) }
            }
        }
        return entries
    }
}
