internal import FXSystem
internal import SystemPackage

/// One copy of a file or tree.
struct Copying {
    let transfer: Transfer

    /// Deeper trees than this are refused: each level holds two descriptors.
    static let maximumDepth = 100

    func copy(
        _ file: FileAddress, in source: OpenType, to goal: FileAddress, in destination: OpenType
    ) throws(ExchangeError) -> FileEntry {
        let from = try source.folder(file.folder)
        let to = try destination.folder(goal.folder, naming: .toRelPath)
        let status = try from.status(of: file.name)
        if try to.statusIfPresent(of: goal.name) != nil { throw .alreadyExists("\(goal)") }
        if status.isDirectory { try checkOutside(of: file.name, in: from, to) }
        try copy(file.name, status, in: from, to: goal.name, in: to, depth: 0)
        return to.entry(goal.name, try to.status(of: goal.name))
    }

    private func copy(
        _ name: Name, _ status: FileStatus, in from: borrowing Folder, to newName: Name, in to: borrowing Folder,
        depth: Int
    ) throws(ExchangeError) {
        if transfer.isCancelled { throw .cancelled("\(from.type.address)/\(from.path.path.appending(name))") }
        switch status.type {
        case .regular: try copyFile(name, in: from, to: newName, in: to)
        case .directory: try copyDirectory(name, status, in: from, to: newName, in: to, depth: depth)
        case .symbolicLink: try copyLink(name, in: from, to: newName, in: to)
        case .fifo, .characterDevice, .blockDevice, .socket:
            if depth == 0 {
                throw .wrongKind("\(from.type.address)/\(from.path.path.appending(name))", .invalidArgument)
            }
        }
    }

    private func copyFile(
        _ name: Name, in from: borrowing Folder, to newName: Name, in to: borrowing Folder
    ) throws(ExchangeError) {
        let source = try from.openSealed(name)
        transfer.addTotal(source.status.size)
        do throws(Errno) {
            let place = to.place(newName)
            try to.type.root.checkArrival(.onlyNew, at: place, in: to.descriptor, by: to.type.caller)
            let copy = try copy(of: source, in: to)
            try to.type.root.publish(copy, .onlyNew, at: place, in: to.descriptor, by: to.type.caller)
        } catch {
            switch error {
            case .interrupted: throw .cancelled("\(from.type.address)/\(from.path.path.appending(name))")
            case .fileExists, .noSpace, .quotaExceeded, .notPermitted, .readOnlyFileSystem:
                throw to.failure(error, newName)
            default: throw from.failure(error, name)
            }
        }
    }

    private func copy(of source: borrowing SealedSource, in to: borrowing Folder) throws(Errno) -> UnnamedFile {
        let transfer = self.transfer
        let start = transfer.record?.done ?? .zero
        let copy = try to.type.root.makeUnnamed(in: to.descriptor)
        let size = try copy.descriptor.copyContent(
            from: source.descriptor, onProgress: { transfer.advance(to: start + $0) },
            isGivenUp: { transfer.isCancelled })
        transfer.advance(to: start + size)
        try to.type.root.dress(copy, as: source.status, from: source.descriptor)
        return try copy.finished()
    }

    private func copyDirectory(
        _ name: Name, _ status: FileStatus, in from: borrowing Folder, to newName: Name, in to: borrowing Folder,
        depth: Int
    ) throws(ExchangeError) {
        if depth >= Copying.maximumDepth { throw from.failure(.tooManySymbolicLinkLevels, name) }
        let source = try from.type.folder(FolderPath(from.path.path.appending(name)))
        let made = try to.makeDirectory(newName)
        let target = try to.type.folder(FolderPath(to.path.path.appending(newName)))
        for name in try source.names() {
            guard let status = try source.statusIfPresent(of: name) else { continue }
            // What we have just made can lie in what we copy when two types show one directory.
            if status.identity == made.identity { continue }
            try copy(name, status, in: source, to: name, in: target, depth: depth + 1)
        }
        do throws(Errno) {
            try to.type.root.dress(made: target.descriptor, as: status, from: source.descriptor)
        } catch { throw to.failure(error, newName) }
    }

    private func copyLink(
        _ name: Name, in from: borrowing Folder, to newName: Name, in to: borrowing Folder
    ) throws(ExchangeError) {
        do throws(Errno) {
            let target = try from.descriptor.target(of: name)
            _ = try to.type.root.makeSymbolicLink(
                to.place(newName), in: to.descriptor, target: target, by: to.type.caller)
            try to.descriptor.sync()
        } catch { throw to.failure(error, newName) }
    }

    /// Refuses to copy a directory into itself: the real paths decide, because two types can show one directory.
    private func checkOutside(
        of name: Name, in from: borrowing Folder, _ to: borrowing Folder
    ) throws(ExchangeError) {
        let isInside: Bool
        do throws(Errno) {
            let source = try from.descriptor.open(name, [.pathOnly, .directory])
            let (outer, inner) = (try source.realPath(), try to.descriptor.realPath())
            isInside = inner == outer || inner.starts(with: outer + [UInt8(ascii: "/")])
        } catch { throw from.failure(error, name) }
        if isInside { throw .parameter(.toRelPath, .intoItself) }
    }
}
