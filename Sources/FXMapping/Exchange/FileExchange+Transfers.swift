public import FXSystem
internal import SystemPackage

/// Bytes in and out, whole files only.
extension FileExchange {
    /// What a `download` does about a type that has no mapping (`implicitCreationType`).
    public enum MissingType: Sendable, Hashable {
        case refused
        /// The user is asked for its directory.
        case created
    }

    /// Whether the user is told of the end (`notifyOnCompletion`).
    public enum Completion: Sendable, Hashable { case silent, told }

    /// Begins to receive bytes, before their place has to be known.
    ///
    /// - Parameters:
    ///   - near: the type they probably go to, as soon as it is known; they then wait on its file system and need no second copy. One that
    ///     does not exist or has no mapping is no reason to fail here.
    ///   - limit: more bytes than that are `tooLarge`.
    ///   - total: how many will come, if anybody said; refused at once when it is over `limit`.
    /// - Throws: `tooManyTransfers`; `system`.
    public func beginDownload(
        near type: TypeAddress? = nil, limit: ByteCount? = nil, total: ByteCount? = nil
    ) throws(ExchangeError) -> Download {
        if let limit, let total, total > limit { throw .tooLarge(limit: limit) }
        var open: OpenType?
        if let type { open = try openIfMapped(type) }
        let transfer = try shared.transfers.begin(.download, nil, total: total, of: application)
        do throws(ExchangeError) {
            if let open { return Download(try open.makeUnnamed(), transfer, limit: limit) }
            do throws(Errno) {
                return Download(
                    try UnnamedFile(inOwnDirectory: shared.settings.spoolDirectory), transfer, limit: limit)
            } catch { throw .system(shared.settings.spoolDirectory, error) }
        } catch {
            transfer.fail(error)
            throw error
        }
    }

    /// Throws what `download` would throw now, as far as it can be known without the bytes: a missing type, a policy that lets
    /// nothing be replaced, a directory or file in the way.
    public func checkDownload(
        to file: FileAddress, _ missing: MissingType = .refused
    ) throws(ExchangeError) {
        let type: OpenType
        do throws(ExchangeError) { type = try open(file.type) } catch {
            switch error {
            case .noSuchType, .unmapped: if missing == .created { return } else { throw error }
            default: throw error
            }
        }
        try type.checkWritable(file)
        do throws(ExchangeError) {
            let folder = try type.folder(file.folder)
            do throws(Errno) {
                try type.root.checkArrival(
                    .replacing, at: folder.place(file.name), in: folder.descriptor, by: caller)
            } catch { throw folder.failure(error, file.name) }
        } catch {
            if case .notFound = error { return }
            throw error
        }
    }

    /// Gives what has arrived its name, in one step: until then nobody sees any of it, afterwards all of it is there and on disk.
    ///
    /// Missing directories of `relPath` are made. A file of that name is replaced where the policy lets names be replaced, and is kept as
    /// a version; elsewhere the answer is `refused` and it stays. Of several downloads to one name the last has it, the others are versions.
    /// - Throws: `noSuchType` or `unmapped` when the type is missing and not to be created, then as `createType`; `refused`,
    ///   `wrongKind` when a directory has the name, `beingWritten`, `system`. What had arrived is let go.
    public func download(
        _ content: Download, to file: FileAddress, _ missing: MissingType = .refused, _ completion: Completion = .silent
    ) throws(ExchangeError) -> FileEntry {
        content.transfer.isFor(file)
        do throws(ExchangeError) {
            let type = try openMaking(file.type, missing)
            let folder = try type.folderMakingMissing(file.folder)
            let entry = try folder.publish(content, as: file.name)
            if let record = content.transfer.succeed(), completion == .told { shared.notices.tell(record) }
            return entry
        } catch {
            content.transfer.fail(error)
            throw error
        }
    }

    /// Opens a file for the application to read.
    /// - Parameter limit: a larger file is `tooLarge`.
    /// - Throws: `notFound`, `wrongKind` for directories, links and devices, `accessDenied`, `beingWritten`, `tooLarge`,
    ///   `tooManyTransfers`. Nothing is created, whatever is missing.
    public func upload(
        _ file: FileAddress, limit: ByteCount? = nil, _ completion: Completion = .silent
    ) throws(ExchangeError) -> Upload {
        let folder = try open(file.type).folder(file.folder)
        let source = try folder.openSealed(file.name)
        let opened = source.status
        if let limit, opened.size > limit { throw .tooLarge(limit: limit) }
        let transfer = try shared.transfers.begin(.upload, file, total: opened.size, of: application)
        let notices = completion == .told ? shared.notices : nil
        return Upload(folder.entry(file.name, opened), source.intoDescriptor(), transfer, notices)
    }

    // MARK: Within

    /// nil where there is nothing to be near to.
    private func openIfMapped(_ type: TypeAddress) throws(ExchangeError) -> OpenType? {
        do throws(ExchangeError) { return try open(type) } catch {
            switch error {
            case .noSuchType, .unmapped, .directoryUnavailable: return nil
            default: throw error
            }
        }
    }

    private func openMaking(_ type: TypeAddress, _ missing: MissingType) throws(ExchangeError) -> OpenType {
        do throws(ExchangeError) { return try open(type) } catch {
            switch error {
            case .noSuchType, .unmapped: if missing == .refused { throw error }
            default: throw error
            }
        }
        let facts = promptFacts(mapped: nil, initPath: nil, .ask)
        _ = try map(type, try rowIfPresent(type), by: .needingType(isMapped: false, facts), nil)
        return try open(type)
    }
}

/// An open regular file together with what it was when it was opened.
struct SealedSource: ~Copyable {
    let descriptor: OwnedDescriptor
    let status: FileStatus

    init(_ descriptor: consuming OwnedDescriptor) throws(Errno) {
        status = try descriptor.status()
        self.descriptor = descriptor
    }

    consuming func intoDescriptor() -> OwnedDescriptor { descriptor }
}

extension OpenType {
    /// A file without a name at the root of the type.
    func makeUnnamed() throws(ExchangeError) -> UnnamedFile {
        let folder = try folder(.root)
        do throws(Errno) { return try root.makeUnnamed(in: folder.descriptor) } catch {
            throw failure(error, RelativePath())
        }
    }
}

extension Folder {
    /// Opens a regular file nobody is writing to, for reading.
    borrowing func openSealed(_ name: Name) throws(ExchangeError) -> SealedSource {
        let shown = "\(type.address)/\(path.path.appending(name))"
        switch try status(of: name).type {
        case .regular: break
        case .directory: throw .wrongKind(shown, .isDirectory)
        case .symbolicLink: throw .accessDenied(shown, .tooManySymbolicLinkLevels)
        case .fifo, .socket, .characterDevice, .blockDevice: throw .wrongKind(shown, .invalidArgument)
        }
        try checkNotBeingWritten(name)
        do throws(Errno) {
            let source = try SealedSource(descriptor.open(name, [.readOnly, .nonBlocking]))
            // Somebody put something else there since we looked.
            if !source.status.isRegular { throw Errno.staleNFSFileHandle }
            return source
        } catch { throw failure(error, name) }
    }

    /// Publishes what has arrived, after a copy where it lies on another file system.
    borrowing func publish(_ content: Download, as name: Name) throws(ExchangeError) -> FileEntry {
        if let present = try statusIfPresent(of: name), present.isRegular { try checkNotBeingWritten(name) }
        let file = try content.finish()
        do throws(Errno) {
            do throws(Errno) {
                try publish(file, at: place(name))
            } catch {
                if error != .crossDevice { throw error }
                try publish(try copyNearby(file), at: place(name))
            }
        } catch { throw failure(error, name) }
        return entry(name, try status(of: name))
    }

    private borrowing func copyNearby(_ file: UnnamedFile) throws(Errno) -> UnnamedFile {
        let near = try type.root.makeUnnamed(in: descriptor)
        _ = try near.descriptor.copyContent(from: file.descriptor)
        return try near.finished()
    }

    private borrowing func publish(_ file: UnnamedFile, at place: Place) throws(Errno) {
        try file.descriptor.setPermissions(0o666 & ~type.caller.umask)
        try type.root.publish(file, .replacing, at: place, in: descriptor, by: type.caller)
    }
}
