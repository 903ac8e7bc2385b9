internal import FXSystem
internal import SystemPackage

/// The File Exchange API as one application sees it: files and directories by (entity, type), never by path.
///
/// A value; any thread may call, calls are synchronous and independent of each other. Everything that changes a mapped directory goes
/// through the gate (`MappedRoot`) and its policies, so nothing sealed is lost and nothing is deleted: there is no operation that
/// deletes. It works with or without a mount of the same types, in this process or another.
///
/// Every operation throws `ExchangeError` only. Whatever names a type throws `noSuchType` when this application has none
/// (its entity included), and whatever looks into one throws `unmapped`, or `directoryUnavailable` when the mapped directory is gone.
/// Parameters are checked when their values are made (`TypeAddress`, `FolderPath`, `FileAddress`, `Page`), which throw `parameter`.
public struct FileExchange: Sendable {
    public let application: ApplicationID
    let shared: SharedExchange

    init(_ application: ApplicationID, _ shared: SharedExchange) {
        self.application = application
        self.shared = shared
    }

    var caller: Caller { shared.settings.caller }

    /// The running transfers of this application, then the last that ended, newest first.
    public func transfers() -> [TransferRecord] { shared.transfers.transfers(of: application) }

    // MARK: Within

    /// What the database holds now, other processes' changes included.
    func snapshot() throws(ExchangeError) -> RegistrySnapshot {
        do throws(MappingError) { return try shared.registry.newestSnapshot(of: application) } catch {
            throw .registry(error)
        }
    }

    /// The row of a type.
    func row(_ address: TypeAddress) throws(ExchangeError) -> MappedType {
        guard let row = try snapshot().type(address.entity, address.type) else { throw .noSuchType(address) }
        return row
    }

    /// A type with its directory open, for one operation.
    func open(_ address: TypeAddress) throws(ExchangeError) -> OpenType {
        let row = try row(address)
        if row.status == .unmapped { throw .unmapped(address) }
        do throws(Errno) {
            return OpenType(address, try MappedRoot(row, shared: shared.gate), caller)
        } catch { throw .directoryUnavailable(address, error) }
    }
}

/// A mapped type that is open for the time of one operation.
struct OpenType: Sendable {
    let address: TypeAddress
    let root: MappedRoot
    let caller: Caller

    init(_ address: TypeAddress, _ root: MappedRoot, _ caller: Caller) {
        self.address = address
        self.root = root
        self.caller = caller
    }

    /// Opens a directory below the type and nowhere else.
    /// - Parameters:
    ///   - flags: beside O_DIRECTORY.
    ///   - parameter: what names it in the operation.
    func folder(
        _ folder: FolderPath, _ flags: OpenFlags = .readOnly, naming parameter: ExchangeParameter = .relPath
    ) throws(ExchangeError) -> Folder {
        do throws(Errno) {
            let descriptor = try root.descriptor.openBeneath(folder.path, flags.union(.directory))
            let identity = try descriptor.status().identity
            return Folder(descriptor, identity, folder, self)
        } catch {
            if error == .fileNameTooLong { throw .parameter(parameter, .tooLong(folder.path.bytes.count)) }
            throw failure(error, folder.path)
        }
    }

    /// Opens it after making what is missing, one directory after the other.
    func folderMakingMissing(_ folder: FolderPath) throws(ExchangeError) -> Folder {
        do throws(ExchangeError) {
            return try self.folder(folder)
        } catch {
            guard case .notFound = error, let name = folder.path.name else { throw error }
            let parent = try folderMakingMissing(FolderPath(folder.path.parent))
            do throws(ExchangeError) {
                _ = try parent.makeDirectory(name)
            } catch {
                // Somebody else made it first.
                guard case .alreadyExists = error else { throw error }
            }
            return try self.folder(folder)
        }
    }

    /// Refuses early, where the directory of `file` may still be missing, so that nothing can be looked at.
    func checkWritable(_ file: FileAddress) throws(ExchangeError) {
        let place = Place(directory: root.status.identity, name: file.name, parentName: nil) { file.path }
        do throws(Errno) { try root.checkWritable("create", place, caller) } catch { throw failure(error, file.path) }
    }

    /// What an errno means for a caller of the API.
    func failure(_ error: Errno, _ path: RelativePath) -> ExchangeError {
        let shown = path.isRoot ? "\(address)" : "\(address)/\(path)"
        return switch error {
        case .noSuchFileOrDirectory: .notFound(shown)
        case .fileExists: .alreadyExists(shown)
        case .notDirectory, .isDirectory: .wrongKind(shown, error)
        case .permissionDenied, .tooManySymbolicLinkLevels, .crossDevice: .accessDenied(shown, error)
        case .notPermitted: .refused(shown, root.policy, error)
        case .readOnlyFileSystem where root.policy == .readOnly: .refused(shown, root.policy, error)
        case .fileNameTooLong: .parameter(.relPath, .tooLong(path.bytes.count))
        default: .system(shown, error)
        }
    }
}

/// An open directory below a type.
struct Folder: ~Copyable {
    let descriptor: OwnedDescriptor
    let identity: FileIdentity
    let path: FolderPath
    let type: OpenType
    /// What the paths and `relPath`s of all its entries have in common.
    private let prefix: String
    private let texts: [String]

    init(_ descriptor: consuming OwnedDescriptor, _ identity: FileIdentity, _ path: FolderPath, _ type: OpenType) {
        let root = type.root.type.path ?? ""
        texts = path.texts
        prefix = ([root == "/" ? "" : root] + texts).joined(separator: "/") + "/"
        self.descriptor = descriptor
        self.identity = identity
        self.path = path
        self.type = type
    }

    borrowing func place(_ name: Name) -> Place {
        let path = path.path
        return Place(directory: identity, name: name, parentName: path.name) { path.appending(name) }
    }

    borrowing func failure(_ error: Errno, _ name: Name) -> ExchangeError {
        type.failure(error, path.path.appending(name))
    }

    borrowing func status(of name: Name) throws(ExchangeError) -> FileStatus {
        do throws(Errno) {
            let status = try descriptor.status(of: name)
            if isElsewhere(status) { throw Errno.crossDevice }
            return status
        } catch { throw failure(error, name) }
    }

    /// Another file system mounted here belongs to somebody else.
    private borrowing func isElsewhere(_ status: FileStatus) -> Bool {
        status.mountID != type.root.status.mountID
    }

    /// nil when the name is free.
    borrowing func statusIfPresent(of name: Name) throws(ExchangeError) -> FileStatus? {
        do throws(ExchangeError) { return try status(of: name) } catch {
            if case .notFound = error { return nil }
            throw error
        }
    }

    /// Makes a directory that belongs to the caller; its name is on disk when this returns.
    borrowing func makeDirectory(_ name: Name) throws(ExchangeError) -> FileStatus {
        do throws(Errno) {
            let status = try type.root.makeDirectory(place(name), in: descriptor, mode: 0o777, by: type.caller)
            try descriptor.sync()
            return status
        } catch { throw failure(error, name) }
    }

    borrowing func entry(_ name: Name, _ status: FileStatus) -> FileEntry {
        var access: AccessMode = []
        if status.type != .symbolicLink, !isElsewhere(status) {
            access = type.mode(of: descriptor.access(to: name))
        }
        let text = name.exchangedText
        return FileEntry(
            name: text, path: prefix + text, relPath: texts, type: type.address, size: status.size,
            modified: status.modified, isDirectory: status.isDirectory, access: access)
    }
}
