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
    private let keepsCache: Bool

    /// - Parameter keepsCache: the kernel has nothing of the file, or pages of the content that was opened.
    init(_ file: RemoteFile, _ place: RemotePlace, _ flags: OpenFlags, keepsCache: Bool = false) {
        self.file = file
        self.place = place
        self.flags = flags
        self.keepsCache = keepsCache
    }

    /// What a handle that cannot read writes goes past the page cache, one copy and one page of memory less for every
    /// page written. It could not be mapped anyway (mmap(2), EACCES), and others see the bytes at once: the kernel
    /// drops what it had cached of them.
    var openReply: OpenReply {
        OpenReply(
            directIO: !flags.reads, keepsCache: keepsCache,
            needsNoFlush: !flags.writes && !flags.contains(.truncate))
    }

    func read(_ count: Int, at offset: UInt64, _ request: consuming PendingRequest) {
        do throws(Errno) {
            let source = try remote { () throws(RemoteError) in try file.source() }
            if case .service(let reader) = source { return read(count, at: offset, from: reader, request) }
            unsafe request.answer(upTo: count) { buffer throws(Errno) in
                try remote { () throws(RemoteError) in try unsafe file.read(into: buffer, at: offset) }
            }
        } catch {
            request.fail(error)
        }
    }

    /// Answered from memory, or when the bytes have come; what will be read next is asked for after that.
    private func read(
        _ count: Int, at offset: UInt64, from reader: ContentReader, _ request: consuming PendingRequest
    ) {
        let thread = request.caller.thread
        let waiting = WaitingRequest(request)
        let start = reader.read(count, at: offset) { result in
            guard let request = waiting.take() else { return }
            switch result {
            case .success(let bytes): unsafe request.answer(lending: { unsafe bytes.withVectors($0) })
            case .failure(let error): request.fail(error.errno)
            }
        }
        switch start {
        case .bytes(let bytes):
            if let request = waiting.take() { unsafe request.answer(lending: { unsafe bytes.withVectors($0) }) }
        case .failed(let error): waiting.finish(error.errno)
        case .waits(let token):
            waiting.watch(thread: thread)
            waiting.began { reader.cancel(token) }
        }
        reader.bringAhead()
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
    fileprivate func write(_ bytes: [UInt8], at offset: UInt64, by caller: Caller) throws(Errno) -> Int {
        try unsafe bytes.withUnsafeBufferPointer { buffer throws(Errno) in
            try remote { () throws(RemoteError) in
                try unsafe write(UnsafeRawBufferPointer(buffer), at: offset, by: caller)
            }
        }
    }
}
