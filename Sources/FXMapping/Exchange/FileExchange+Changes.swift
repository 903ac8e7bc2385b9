internal import FXSystem
internal import SystemPackage

/// Making, moving, renaming and copying within one entity. Nothing replaces anything.
extension FileExchange {
    /// What `createDir` does about directories above the new one.
    public enum Parents: Sendable, Hashable {
        /// They have to be there, and the new one must not (`recursive` false).
        case required
        /// They are made where they are missing, and an existing directory is fine (`recursive` true).
        case made
    }

    /// Makes a directory.
    /// - Parameter directory: made of `relPath` alone, whose last component is the new directory's name.
    /// - Throws: `notFound` when a parent is missing, `alreadyExists`, `wrongKind` when a file is in the way; `refused` in a
    ///   `read-only` type.
    public func createDir(_ directory: FileAddress, _ parents: Parents = .required) throws(ExchangeError) -> FileEntry {
        let type = try open(directory.type)
        switch parents {
        case .required:
            let folder = try type.folder(directory.folder)
            return folder.entry(directory.name, try folder.makeDirectory(directory.name))
        case .made:
            _ = try type.folderMakingMissing(FolderPath(directory.path))
            let folder = try type.folder(directory.folder)
            return folder.entry(directory.name, try folder.status(of: directory.name))
        }
    }

    /// Gives a file or directory another name in its directory.
    /// - Throws: `notFound`, `alreadyExists`, `refused` where the policy keeps names, `beingWritten`.
    public func renameFile(_ file: FileAddress, to newName: String?) throws(ExchangeError) -> FileEntry {
        guard let newName else { throw .parameter(.newFileName, .missing) }
        let name = try Name(exchanged: newName, as: .newFileName)
        let type = try open(file.type)
        return try move(file, in: type, to: FileAddress(file.type, file.folder, name), in: type)
    }

    /// Moves a file or directory, under its name, to another directory of the same or another type of its entity; that directory has to
    /// be there.
    /// - Throws: as `renameFile`; `otherFileSystem`; `parameter(.toRelPath, .intoItself)`; `refused` also when the other type
    ///   protects less.
    public func moveFile(
        _ file: FileAddress, to type: TypeName, _ folder: FolderPath = .root
    ) throws(ExchangeError) -> FileEntry {
        let target = TypeAddress(file.type.entity, type)
        let source = try open(file.type)
        let destination = target == file.type ? source : try open(target)
        let transfer = try shared.transfers.begin(.move, file, total: nil, of: application)
        let entry = try ending(transfer) { () throws(ExchangeError) in
            try move(file, in: source, to: FileAddress(target, folder, file.name), in: destination)
        }
        return entry
    }

    /// Copies a file, or a directory with everything in it, into another directory of the same or another type of its entity; that
    /// directory has to be there. Each file appears whole: a copy that is cut leaves whole files and directories, and no part of a file.
    ///
    /// Modes, times and user attributes are kept; symbolic links are copied as links; FIFOs, sockets and devices are left out.
    /// - Throws: `notFound`, `alreadyExists`, `parameter(.toRelPath, .intoItself)`, `beingWritten`, `refused` in a `read-only` type.
    public func copyFile(
        _ file: FileAddress, to type: TypeName, _ folder: FolderPath = .root, as newName: String? = nil
    ) throws(ExchangeError) -> FileEntry {
        let name = try newName.map { text throws(ExchangeError) in try Name(exchanged: text, as: .newFileName) }
        let target = TypeAddress(file.type.entity, type)
        let source = try open(file.type)
        let destination = target == file.type ? source : try open(target)
        let transfer = try shared.transfers.begin(.copy, file, total: nil, of: application)
        return try ending(transfer) { () throws(ExchangeError) in
            let copying = Copying(transfer: transfer)
            let goal = FileAddress(target, folder, name ?? file.name)
            return try copying.copy(file, in: source, to: goal, in: destination)
        }
    }

    // MARK: Within

    /// Runs `body` and tells the board how it ended.
    func ending<Result>(
        _ transfer: Transfer, _ body: () throws(ExchangeError) -> Result
    ) throws(ExchangeError) -> Result {
        do throws(ExchangeError) {
            let result = try body()
            transfer.succeed()
            return result
        } catch {
            transfer.fail(error)
            throw error
        }
    }

    private func move(
        _ file: FileAddress, in source: OpenType, to goal: FileAddress, in destination: OpenType
    ) throws(ExchangeError) -> FileEntry {
        let from = try source.folder(file.folder)
        let to = try destination.folder(goal.folder, naming: .toRelPath)
        let isDirectory = try from.status(of: file.name).isDirectory
        try from.checkNotBeingWritten(file.name)
        do throws(Errno) {
            try source.root.rename(
                from.place(file.name), in: from.descriptor, to: to.place(goal.name), in: to.descriptor,
                of: destination.root, .noReplace, by: caller)
            try to.descriptor.sync()
            try from.descriptor.sync()
        } catch {
            switch error {
            // rename(2): EINVAL for a directory that would contain itself.
            case .invalidArgument where isDirectory: throw .parameter(.toRelPath, .intoItself)
            case .fileExists: throw .alreadyExists("\(goal)")
            case .crossDevice: throw .otherFileSystem("\(file)")
            // Its name changed hands between our look and our turn.
            case .staleNFSFileHandle: throw .beingWritten("\(file)")
            default: throw from.failure(error, file.name)
            }
        }
        return to.entry(goal.name, try to.status(of: goal.name))
    }
}

extension Folder {
    borrowing func checkNotBeingWritten(_ name: Name) throws(ExchangeError) {
        let isBeingWritten: Bool
        do throws(Errno) { isBeingWritten = try type.root.isBeingWritten(name, in: descriptor) } catch {
            throw failure(error, name)
        }
        if isBeingWritten { throw .beingWritten("\(type.address)/\(path.path.appending(name))") }
    }
}
