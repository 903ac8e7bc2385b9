internal import FXMapping
internal import FXSystem
internal import SystemPackage

/// An open file of a mapped type as the kernel holds it.
final class MappedFileHandle: FileHandle {
    let file: MappedFile
    private let node: MappedNode
    private let grant: Grant

    /// What the kernel was told when it was opened.
    private struct Grant: Sendable {
        var reply: OpenReply
        /// This handle counts in the inode's mode.
        var counts: Bool
    }

    init(_ file: MappedFile, node: MappedNode) {
        self.file = file
        self.node = node
        self.grant = MappedFileHandle.grant(file, node)
        node.opened(self)
    }

    var openReply: OpenReply {
        var reply = grant.reply
        reply.needsNoFlush = !file.flags.writes
        return reply
    }

    private static func grant(_ file: MappedFile, _ node: MappedNode) -> Grant {
        let registry = node.services.backing
        switch file.kernelAccess {
        case .judged(let besidePassthrough):
            // A readable one could map the backing file if it carried its id (fuse_file_mmap looks at passthrough
            // first). Where such handles exist, in append-only types, no inode is in passthrough mode; after a change
            // of policy one can still be, and then the kernel refuses the open with EIO.
            guard besidePassthrough else { return Grant(reply: OpenReply(directIO: true), counts: false) }
            // FOPEN_DIRECT_IO overrides passthrough: writes come to us although the inode is in passthrough mode.
            return counted(node.mode.enter(wanted: true, file.descriptor, registry), judged: true)
        case .direct:
            return counted(node.mode.enter(wanted: true, file.descriptor, registry), judged: false)
        case .cached:
            // Only after a change of policy can the inode still be in passthrough mode: then writers are judged.
            return counted(node.mode.enter(wanted: false, file.descriptor, registry), judged: file.flags.writes)
        }
    }

    private static func counted(_ mode: InodeMode.Grant, judged: Bool) -> Grant {
        switch mode {
        case .passthrough(let id): Grant(reply: OpenReply(directIO: judged, backing: id), counts: true)
        case .cached: Grant(reply: OpenReply(directIO: judged), counts: true)
        }
    }

    func read(_ count: Int, at offset: UInt64, _ request: consuming PendingRequest) {
        request.answer(from: file.descriptor, at: offset, count: count)
    }

    func write(
        _ data: borrowing WriteData, at offset: UInt64, appending: Bool, by caller: Caller,
        _ request: consuming PendingRequest
    ) {
        do throws(Errno) {
            let written = try file.withWriteTarget(
                at: offset, appending: appending, place: { node.place() }, by: caller
            ) {
                descriptor throws(Errno) in try data.copy(to: descriptor, at: offset)
            }
            request.answer(written: written)
        } catch {
            request.fail(error)
        }
    }

    func flush(by caller: Caller, _ request: consuming PendingRequest) {
        do throws(Errno) {
            try file.flush(path: { node.path })
            request.succeed()
        } catch {
            request.fail(error)
        }
    }

    func sync(dataOnly: Bool, by caller: Caller, _ request: consuming PendingRequest) {
        do throws(Errno) {
            if dataOnly { try file.descriptor.syncData() } else { try file.descriptor.sync() }
            request.succeed()
        } catch {
            request.fail(error)
        }
    }

    func allocate(mode: Int32, offset: UInt64, length: UInt64, by caller: Caller) throws(Errno) {
        try file.allocate(mode: mode, offset: offset, length: length, place: node.place(), by: caller)
    }

    func seek(_ offset: Int64, whence: Int32) throws(Errno) -> Int64 {
        try file.descriptor.seek(offset, whence: whence)
    }

    func copyRange(
        at offset: UInt64, to target: any FileHandle, at targetOffset: UInt64, count: Int, by caller: Caller
    ) throws(Errno) -> Int {
        guard let target = target as? MappedFileHandle else { throw .crossDevice }
        return try target.file.withWriteTarget(
            at: targetOffset, appending: false, place: { target.node.place() }, by: caller
        ) { descriptor throws(Errno) in
            try file.descriptor.copyRange(at: offset, to: descriptor, at: targetOffset, count: count)
        }
    }

    func release() {
        if grant.counts { node.mode.leave(node.services.backing) }
        node.released(self)
        let node = node
        file.release(mayBeMapped: grant.reply.backing != nil) { node.path }
    }
}
