import Crypto
import Glibc
import Synchronization

/// The bytes of an upload, in a file that grows.
final class AppendedBytes: Sendable {
    private let state: Mutex<(descriptor: Int32, count: Int)>

    /// None yet; their file has no name and goes with them.
    init() { state = Mutex((-1, 0)) }

    /// Those in a file, which is made where it is missing and stays.
    init(path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw ServiceFailure("cannot open \(path): errno \(errno)") }
        state = Mutex((descriptor, Int(lseek(descriptor, 0, SEEK_END))))
    }

    deinit {
        let descriptor = state.withLock { $0.descriptor }
        if descriptor >= 0 { close(descriptor) }
    }

    var count: Int { state.withLock { $0.count } }

    func append(_ bytes: some Collection<UInt8>) throws {
        if bytes.isEmpty { return }
        try state.withLock { state in
            if state.descriptor < 0 { state.descriptor = try namelessFile() }
            let all = Array(bytes)
            var done = 0
            while done < all.count {
                let written = all.withUnsafeBytes {
                    pwrite(state.descriptor, $0.baseAddress! + done, all.count - done, off_t(state.count))
                }
                if written <= 0 { throw ServiceFailure("cannot write a body: errno \(errno)") }
                done += written
                state.count += written
            }
        }
    }

    /// Drops what is behind the first `count` bytes.
    func cut(to count: Int) throws {
        try state.withLock { state in
            if count >= state.count { return }
            if ftruncate(state.descriptor, off_t(count)) != 0 {
                throw ServiceFailure("cannot cut a body: errno \(errno)")
            }
            state.count = count
        }
    }

    func bytes(in range: Range<Int>) -> [UInt8] {
        let descriptor = state.withLock { $0.descriptor }
        return [UInt8](unsafeUninitializedCapacity: range.count) { space, filled in
            while filled < range.count {
                let got = pread(
                    descriptor, space.baseAddress! + filled, range.count - filled, off_t(range.lowerBound + filled))
                if got <= 0 { break }
                filled += got
            }
        }
    }

    /// Lower-case hexadecimal.
    var sha256: String {
        let count = count
        var hasher = SHA256()
        for start in stride(from: 0, to: count, by: 1 << 20) {
            hasher.update(data: bytes(in: start..<min(start + (1 << 20), count)))
        }
        return hasher.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// `Upload-Checksum` of a request whose body comes in pieces.
struct TusDigest: Sendable {
    private var function: any HashFunction & Sendable
    private let wanted: [UInt8]

    /// - Parameter text: `sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=`.
    init?(_ text: String, _ algorithms: [String]) {
        let words = text.split(separator: " ")
        guard words.count == 2, algorithms.contains(String(words[0])), let digest = URLText.decodeBase64(words[1])
        else {
            return nil
        }
        switch words[0] {
        case "md5": function = Insecure.MD5()
        case "sha1": function = Insecure.SHA1()
        case "sha256": function = SHA256()
        case "sha512": function = SHA512()
        default: return nil
        }
        wanted = digest
    }

    mutating func update(_ bytes: [UInt8]) { function.update(data: bytes) }
    var fits: Bool { function.finalize().elementsEqual(wanted) }
}

extension HashFunction {
    fileprivate func finalize() -> [UInt8] { Array(finalize() as Digest) }
}
