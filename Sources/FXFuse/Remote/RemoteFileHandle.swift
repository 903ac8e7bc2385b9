internal import CLinux
internal import FXRemote
internal import FXSystem
internal import SystemPackage

/// An open file of a session. Spool reads and writes are local and answered at once; what waits for a commit holds no
/// worker.
final class RemoteFileHandle: FileHandle {
    let file: RemoteFile
    private let place: RemotePlace
    private let flags: OpenFlags

    init(_ file: RemoteFile, _ place: RemotePlace, _ flags: OpenFlags) {
        self.file = file
        self.place = place
        self.flags = flags
    }

    /// What a handle that cannot read writes goes past the page cache, one copy and one page of memory less for every
    /// page written. It could not be mapped anyway (mmap(2), EACCES), and others see the bytes at once: the kernel
    /// drops what it had cached of them.
    var openReply: OpenReply { OpenReply(directIO: !flags.reads) }

    func read(_ count: Int, at offset: UInt64, _ request: consuming PendingRequest) {
        if let lane = place.lane(for: .read(file.entry)) {
            let caller = request.caller
            return lane.carry(
                request, by: caller, { [file] _ throws(Errno) in try file.bytes(count, at: offset) },
                answer: { $0.answer(bytes: $1) })
        }
        unsafe request.answer(upTo: count) { buffer throws(Errno) in
            try remote { () throws(RemoteError) in try unsafe file.read(into: buffer, at: offset) }
        }
    }

    func write(
        _ data: borrowing WriteData, at offset: UInt64, appending: Bool, by caller: Caller,
        _ request: consuming PendingRequest
    ) {
        do throws(Errno) {
            if let lane = laneForChanges {
                // The content that is there has to come first; what libfuse lent us is gone by then.
                let bytes = try unsafe data.withBytes { bytes throws(Errno) in unsafe Array(bytes) }
                return lane.carry(
                    request, by: caller,
                    { [file] caller throws(Errno) in try file.write(bytes, at: offset, by: caller) },
                    answer: { $0.answer(written: $1) })
            }
            let written = try unsafe data.withBytes { bytes throws(Errno) in
                try remote { () throws(RemoteError) in try unsafe file.write(bytes, at: offset, by: caller) }
            }
            request.answer(written: written)
        } catch {
            request.fail(error)
        }
    }

    func flush(by caller: Caller, _ request: consuming PendingRequest) {
        place.answer(request, by: caller) { [file] in file.flush(caller: caller, $0) }
    }

    func sync(dataOnly: Bool, by caller: Caller, _ request: consuming PendingRequest) {
        place.answer(request, by: caller) { [file] in file.sync($0) }
    }

    func allocate(mode: Int32, offset: UInt64, length: UInt64, by caller: Caller) throws(Errno) {
        // Preallocation is what a spool can promise; the caller of other modes falls back to writing.
        let keepSize = Int32(FX_FALLOC_KEEP_SIZE)
        guard mode & ~keepSize == 0 else { throw .notSupported }
        let growing = mode & keepSize == 0
        try remote { () throws(RemoteError) in
            try file.allocate(offset: offset, length: length, growing: growing, by: caller)
        }
    }

    var laneForChanges: RequestLane? { place.lane(for: .change(file.entry)) }

    func release() { file.release() }
    func withdraw() { file.withdraw() }
}

extension RemoteFile {
    fileprivate func bytes(_ count: Int, at offset: UInt64) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(Errno) in
            try remote { () throws(RemoteError) in
                try unsafe read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            }
        }
        bytes.removeLast(count - got)
        return bytes
    }

    fileprivate func write(_ bytes: [UInt8], at offset: UInt64, by caller: Caller) throws(Errno) -> Int {
        try unsafe bytes.withUnsafeBufferPointer { buffer throws(Errno) in
            try remote { () throws(RemoteError) in
                try unsafe write(UnsafeRawBufferPointer(buffer), at: offset, by: caller)
            }
        }
    }
}
