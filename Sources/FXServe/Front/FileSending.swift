internal import FXMapping
internal import FXSystem
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore

/// Sends a file as the body of an answer: the next piece is read while the last one goes out, two pieces in memory at most.
struct FileSending: Sendable {
    let file: Upload
    let pool: WorkerPool
    let share: FileShare
    /// A client that takes nothing for this long is cut off.
    let idle: TimeAmount

    func send(
        _ response: HTTPResponse, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        share.begin()
        defer { share.end() }
        var body = try await writer.writeHead(response)
        var offset: UInt64 = 0
        var next = offset < file.size.rawValue ? try await read(at: offset) : nil
        while let piece = next {
            offset += UInt64(piece.readableBytes)
            let cutOff = channel.eventLoop.scheduleTask(in: idle) { channel.close(promise: nil) }
            defer { cutOff.cancel() }
            if offset < file.size.rawValue {
                let start = offset
                async let following = read(at: start)
                try await write(piece, to: &body, channel)
                next = try await following
            } else {
                try await write(piece, to: &body, channel)
                next = nil
            }
            file.advance(to: ByteCount(offset))
        }
        try await body.finish(nil)
        file.finish()
    }

    /// Returns once the channel has the piece: `write` alone only queues it for the event loop, and on a busy one a fast disk
    /// would queue whole files before the channel could say that it is full.
    private func write(
        _ piece: ByteBuffer, to body: inout some ResponseBodyWriter, _ channel: any Channel
    ) async throws {
        try await body.write(piece)
        try await channel.eventLoop.submit {}.get()
    }

    /// - Throws: `failed` when the file has become shorter: the connection ends, and the client sees that bytes are missing.
    private func read(at offset: UInt64) async throws -> ByteBuffer {
        let file = file
        let wanted = Int(min(UInt64(share.piece), file.size.rawValue - offset))
        return try await pool.run {
            var buffer = ByteBufferAllocator().buffer(capacity: wanted)
            let got = try unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { space in
                try unsafe file.descriptor.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: space[..<wanted]), at: offset)
            }
            guard got == wanted else { throw Refusal(.failed, "the file became shorter while it was sent") }
            return buffer
        }
    }
}
