import Crypto
import Glibc
import Synchronization

/// Bytes a service was sent: small ones in memory, large ones in a file without a name, so that nothing is left behind.
final class StoredBytes: Sendable {
    private enum Place: Sendable {
        case memory([UInt8])
        case file(Int32)
    }

    private let place: Place
    let count: Int
    private let digests = Mutex<[Range<Int>: String]>([:])

    static let empty = StoredBytes([])

    init(_ bytes: [UInt8]) {
        place = .memory(bytes)
        count = bytes.count
    }

    /// Takes the descriptor.
    fileprivate init(descriptor: Int32, count: Int) {
        place = .file(descriptor)
        self.count = count
    }

    deinit { if case .file(let descriptor) = place { close(descriptor) } }

    func bytes(in range: Range<Int>) -> [UInt8] {
        switch place {
        case .memory(let bytes): return Array(bytes[range])
        case .file(let descriptor):
            return [UInt8](unsafeUninitializedCapacity: range.count) { space, filled in
                while filled < range.count {
                    let got = pread(
                        descriptor, space.baseAddress! + filled, range.count - filled,
                        off_t(range.lowerBound + filled))
                    if got <= 0 { break }
                    filled += got
                }
            }
        }
    }

    var bytes: [UInt8] { bytes(in: 0..<count) }

    /// All bytes at once; those of a file are mapped, not read.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch place {
        case .memory(let bytes): return try bytes.withUnsafeBytes(body)
        case .file(let descriptor):
            guard count > 0, let start = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED
            else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
            defer { munmap(start, count) }
            return try body(UnsafeRawBufferPointer(start: start, count: count))
        }
    }

    /// Lower-case hexadecimal SHA-256 of a part; computed once.
    func sha256(of range: Range<Int>) -> String {
        if let known = digests.withLock({ $0[range] }) { return known }
        let digest = withBytes { all in
            var hasher = SHA256()
            hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: all[range]))
            return hasher.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        digests.withLock { $0[range] = digest }
        return digest
    }
}

/// Collects the body of one request, on one task.
final class StoredBytesWriter {
    private var memory: [UInt8] = []
    private var descriptor: Int32 = -1
    private(set) var count = 0

    /// More than this goes to disk, in bytes: the small files of a test stay in memory.
    private static let memoryBound = 256 << 10

    deinit { if descriptor >= 0 { close(descriptor) } }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        if descriptor < 0, count + bytes.count <= StoredBytesWriter.memoryBound {
            memory.append(contentsOf: bytes)
        } else {
            if descriptor < 0 {
                descriptor = try namelessFile()
                try memory.withUnsafeBytes { try write($0, at: 0) }
                memory = []
            }
            try write(bytes, at: count)
        }
        count += bytes.count
    }

    func finish() -> StoredBytes {
        if descriptor < 0 { return StoredBytes(memory) }
        defer { descriptor = -1 }
        return StoredBytes(descriptor: descriptor, count: count)
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
        var done = 0
        while done < bytes.count {
            let written = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
            if written <= 0 { throw ServiceFailure("cannot write a body: errno \(errno)") }
            done += written
        }
    }
}

/// What a test service cannot go on with.
struct ServiceFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A file that goes with its descriptor.
func namelessFile() throws -> Int32 {
    let directory = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(directory)/fxmount-service.XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    if descriptor < 0 { throw ServiceFailure("no file in \(directory): errno \(errno)") }
    unlink(template)
    return descriptor
}
