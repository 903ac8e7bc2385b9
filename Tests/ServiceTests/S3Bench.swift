import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Synchronization
import Testing

@testable import FXRemote

/// A part of the bucket of the shared SeaweedFS for one test, and S3 services that write there.
struct S3Bench: Sendable {
    let weed: SeaweedFS
    /// With a slash at its end.
    let prefix: String
    /// The smallest part, so that multipart uploads stay small.
    static let part: UInt64 = 5 << 20

    init() throws {
        weed = try SeaweedFS.shared
        prefix = "s3-\(UInt64.random(in: 0...(.max)))/"
    }

    var origin: HTTPOrigin { get throws { try HTTPOrigin("http://127.0.0.1:\(weed.s3.port)") } }

    func transport() throws -> CurlTransport { try CurlTransport(try origin) }

    func configuration(
        writer: String = "writer-a", accessKey: String? = nil, secret: String? = nil, bucket: String? = nil,
        allowsDelete: Bool = false
    ) throws -> S3Configuration {
        let secret = Secret(secret ?? weed.secretAccessKey)
        return S3Configuration(
            region: "us-east-1", bucket: bucket ?? weed.bucket, prefix: prefix,
            accessKeyID: accessKey ?? weed.accessKeyID, secretAccessKey: { secret }, pathStyle: true,
            authority: try origin.authority, isEncrypted: false, allowsDelete: allowsDelete, writer: writer)
    }

    func service(
        writer: String = "writer-a", through transport: (any HTTPTransport)? = nil,
        part: UInt64 = S3Bench.part, allowsDelete: Bool = false
    ) throws -> S3Service {
        try service(try configuration(writer: writer, allowsDelete: allowsDelete), through: transport, part: part)
    }

    func service(
        _ configuration: S3Configuration, through transport: (any HTTPTransport)? = nil, part: UInt64 = S3Bench.part,
        clock: WallClock = .system
    ) throws -> S3Service {
        S3Service(
            configuration, transport: try transport ?? self.transport(), basePath: "", clock: clock,
            partSize: ByteCount(part))
    }

    /// What is under a key in this part of the bucket.
    func bytes(_ key: String) throws -> [UInt8] { try weed.get(prefix + key) }
    func put(_ key: String, _ bytes: [UInt8]) throws { try weed.put(prefix + key, bytes) }

    /// Every key but the markers of directories and what is fxmount's own.
    func files() throws -> [String] { try keys().filter { !$0.hasSuffix("/") && !$0.contains(".fxmount/") } }
    func keys() throws -> [String] { try weed.objects(below: prefix).map { String($0.key.dropFirst(prefix.count)) } }

    /// What an upload that went well must not leave.
    func leftovers() throws -> [String] {
        try weed.unfinishedUploads(below: prefix) + keys().filter { $0.hasPrefix(".fxmount/claims/") }
    }
}

/// Bytes in memory that are sent.
struct Bytes: UploadContent {
    let bytes: [UInt8]
    /// Called before each read.
    var willRead: @Sendable () -> Void = {}
    var identity: FileIdentity? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        willRead()
        if offset >= UInt64(bytes.count) { return 0 }
        // Not byte by byte, which takes a build for debugging seconds for some MiB.
        return bytes.withUnsafeBytes { all in
            let piece = UnsafeRawBufferPointer(rebasing: all[Int(offset)...].prefix(buffer.count))
            buffer.copyMemory(from: piece)
            return piece.count
        }
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
}

extension CommittedContent {
    func bytes(_ range: Range<UInt64>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(range.upperBound - range.lowerBound))
        let count = try bytes.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
            try read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
        }
        return Array(bytes.prefix(count))
    }
}

func newUpload(_ path: String, _ bytes: [UInt8], replaces: StoredFile? = nil) throws -> Upload {
    Upload(
        id: UploadID(String(UInt64.random(in: 0...(.max)), radix: 16)), path: try RelativePath(path),
        size: ByteCount(UInt64(bytes.count)), sha256: SHA256Digest(hashing: bytes),
        modified: Timestamp(seconds: 1_700_000_000, nanoseconds: 123), replaces: replaces)
}

extension S3Service {
    /// What the engine does with one sealed upload: asks before it sends again, and begins anew what was forgotten.
    /// - Parameter attempts: how many temporary failures may be met.
    @discardableResult
    func run(_ upload: inout Upload, _ bytes: [UInt8], attempts: Int = 1, isKnown: Bool = false) throws -> CommittedFile
    {
        var isKnown = isKnown
        for attempt in 1... {
            do {
                let file = try self.attempt(&upload, bytes, isKnown: isKnown)
                if file.hasLeftovers { try clear(upload, attempts: attempts + 1) }
                return file
            } catch let error as RemoteError {
                isKnown = true
                if error == .expired {
                    upload.note = nil
                } else if !error.isTemporary || attempt >= attempts {
                    throw error
                }
            }
        }
        throw RemoteError.interrupted
    }

    /// What the engine does in the background, until it succeeds.
    func clear(_ upload: Upload, attempts: Int = 1) throws {
        var left = upload
        left.sha256 = nil
        left.note = nil
        for attempt in 1...attempts {
            do throws(RemoteError) { return try discard(left) } catch {
                if !error.isTemporary || attempt == attempts { throw error }
            }
        }
    }

    private func attempt(_ upload: inout Upload, _ bytes: [UInt8], isKnown: Bool) throws -> CommittedFile {
        var held = ByteRanges()
        if isKnown {
            switch try standing(of: upload) {
            case .committed(let file): return file
            case .partial(let ranges): held = ranges
            case .nothing: upload.note = nil
            }
        }
        if let note = try begin(upload) { upload.note = note }
        let size = UInt64(bytes.count)
        var position: UInt64 = 0
        while position < size {
            let range = position..<min(size, facts.chunk(at: position).range.upperBound)
            if !held.contains(range) { try send(range, of: upload, from: Bytes(bytes: bytes)) }
            position = range.upperBound
        }
        return try commit(upload)
    }
}

/// Different for every seed, and quick to make.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        var index = 0
        while index < count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            var word = state
            for _ in 0..<min(8, count - index) {
                buffer[index] = UInt8(truncatingIfNeeded: word)
                word >>= 8
                index += 1
            }
        }
        initialized = count
    }
}

/// Runs bodies at the same time, each on a thread, and waits for all.
func together(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
    let threads = try (0..<count).map { number in
        try WorkerThread(name: "test-\(number)") { body(number) }
    }
    for thread in threads { thread.join() }
}
