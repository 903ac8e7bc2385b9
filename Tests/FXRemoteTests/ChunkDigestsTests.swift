import Crypto
import FXSystem
import Synchronization
import Testing

@testable import FXRemote

/// The MD5 of chunks, eight at a time.
@Suite struct ChunkDigestsTests {
    /// Bytes that count how often they are read, and may change.
    private final class Bytes: UploadContent {
        let bytes: Mutex<[UInt8]>
        let read = Mutex(0)

        init(_ bytes: [UInt8]) { self.bytes = Mutex(bytes) }

        var identity: FileIdentity? { nil }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
            let part = bytes.withLock { Array($0.dropFirst(Int(clamping: offset)).prefix(buffer.count)) }
            unsafe buffer.copyBytes(from: part)
            read.withLock { $0 += part.count }
            return part.count
        }

        func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
    }

    private func chunks(_ chunk: Int, of size: Int) -> [Range<UInt64>] {
        stride(from: 0, to: size, by: chunk).map { UInt64($0)..<UInt64(min($0 + chunk, size)) }
    }

    private func md5(_ range: Range<UInt64>, _ bytes: [UInt8]) -> [UInt8] {
        Array(Insecure.MD5.hash(data: bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
    }

    @Test func `every chunk of any file has the digest it has by itself`() throws {
        for seed in seeds(60) {
            var generator = SeededGenerator(seed)
            // Also sizes that no eight chunks can be hashed with.
            let chunk = generator.below(4) == 0 ? 1 + generator.below(5_000) : 64 * (1 + generator.below(1_500))
            let size = generator.below(chunk * 20)
            let bytes = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let content = Bytes(bytes)
            let digests = ChunkDigests(chunk: ByteCount(UInt64(chunk)))
            for range in chunks(chunk, of: size).shuffled(using: &generator) {
                let digest = try digests.take(range, of: content, size: UInt64(size), generation: 0)
                #expect(digest == md5(range, bytes), "seed \(seed), \(range) of \(size) in chunks of \(chunk)")
            }
            #expect(content.read.withLock { $0 } == size, "seed \(seed): every byte is read once")
        }
    }

    @Test func `threads that want the chunks of one group at once read it once between them`() throws {
        let (chunk, size) = (1 << 18, 8 << 18)
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
        let content = Bytes(bytes)
        let digests = ChunkDigests(chunk: ByteCount(UInt64(chunk)))
        let found = Mutex<[UInt64: [UInt8]]>([:])
        let threads = try chunks(chunk, of: size).map { range in
            try WorkerThread(name: "chunk") {
                let digest = try? digests.take(range, of: content, size: UInt64(size), generation: 0)
                found.withLock { $0[range.lowerBound] = digest }
            }
        }
        for thread in threads { thread.join() }
        for range in chunks(chunk, of: size) {
            #expect(found.withLock { $0[range.lowerBound] } == md5(range, bytes))
        }
        #expect(content.read.withLock { $0 } == size)
    }

    @Test func `what was hashed while the file was written is not read again, unless it changed`() throws {
        let chunk = 1 << 16
        let length = UInt64(8 * chunk)
        let content = Bytes((0..<24 * chunk).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) })
        let digests = ChunkDigests(chunk: ByteCount(UInt64(chunk)))
        func takeAll(_ generation: Int) throws -> Int {
            let before = content.read.withLock { $0 }
            for range in chunks(chunk, of: 24 * chunk) {
                let digest = try digests.take(range, of: content, size: 3 * length, generation: generation)
                #expect(digest == content.bytes.withLock { md5(range, $0) }, "\(range)")
            }
            return content.read.withLock { $0 } - before
        }
        // Less than eight chunks are not hashed yet.
        digests.hashAhead(of: content, upTo: length - 1, generation: 0)
        #expect(content.read.withLock { $0 } == 0)
        for end in [length, length, 2 * length + 5] { digests.hashAhead(of: content, upTo: end, generation: 0) }
        #expect(content.read.withLock { $0 } == 16 * chunk)
        #expect(try takeAll(0) == 8 * chunk)
        // Again, with bytes that changed after they were hashed.
        digests.hashAhead(of: content, upTo: length, generation: 1)
        content.bytes.withLock { $0[9] ^= 1 }
        digests.hashAhead(of: content, upTo: length, generation: 2)
        #expect(try takeAll(2) == 16 * chunk)
        digests.hashAhead(of: content, upTo: length, generation: 3)
        content.bytes.withLock { $0[9] ^= 1 }
        #expect(try takeAll(4) == 24 * chunk)
    }

    @Test func `asked a second time, it is the digest of what is there then`() throws {
        let chunk = 1 << 16
        let content = Bytes([UInt8](repeating: 1, count: 8 * chunk))
        let digests = ChunkDigests(chunk: ByteCount(UInt64(chunk)))
        let range = UInt64(chunk)..<UInt64(2 * chunk)
        let before = try digests.take(range, of: content, size: UInt64(8 * chunk), generation: 0)
        content.bytes.withLock { $0[chunk + 7] = 2 }
        let after = try digests.take(range, of: content, size: UInt64(8 * chunk), generation: 0)
        #expect(before != after)
        #expect(after == content.bytes.withLock { md5(range, $0) })
    }

    @Test func `a content that is shorter than it was said to be has no digest, and holds nobody up`() throws {
        let chunk = 1 << 16
        let content = Bytes([UInt8](repeating: 1, count: 4 * chunk))
        let digests = ChunkDigests(chunk: ByteCount(UInt64(chunk)))
        let size = UInt64(8 * chunk)
        for range in [UInt64(0)..<UInt64(chunk), 7 * UInt64(chunk)..<size] {
            for _ in 0..<2 {
                let isThere = range.lowerBound == 0
                let digest = Result { () throws(RemoteError) in
                    try digests.take(range, of: content, size: size, generation: 0)
                }
                // The first to ask hashes the whole group, and meets the end; by itself the first chunk is there.
                if case .failure(let error) = digest { #expect(error == .verificationMismatch) }
                if !isThere { #expect(throws: RemoteError.verificationMismatch) { try digest.get() } }
            }
        }
        let first = try digests.take(0..<UInt64(chunk), of: content, size: size, generation: 0)
        #expect(first == content.bytes.withLock { md5(0..<UInt64(chunk), $0) })
    }
}
