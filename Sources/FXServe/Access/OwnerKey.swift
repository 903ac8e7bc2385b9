public import FXSystem
internal import Glibc
public import SystemPackage

/// The key of whoever owns the state directory: with it the page and programs of the same user administer the server.
///
/// It lies in the state directory, readable for its owner only, and stays the same until the file is removed.
public enum OwnerKey {
    private static let file = Name(constant: "serve.key")
    /// 256 bits in hexadecimal.
    private static let length = 64

    /// Reads the key, or makes it.
    /// - Parameter stateDirectory: absolute; it exists.
    public static func of(stateDirectory: String) throws(Errno) -> Secret {
        let directory = try OwnedDescriptor.open(absolute: stateDirectory, [.pathOnly, .directory])
        if let kept = try read(directory) { return kept }
        do throws(Errno) {
            try AtomicFile.write(Array((random() + "\n").utf8), to: "serve.key", in: directory, mode: 0o600)
        } catch .wouldBlock {
            // Another process is making it at this moment.
        }
        guard let kept = try read(directory) else { throw .resourceTemporarilyUnavailable }
        return kept
    }

    /// nil when there is none yet.
    private static func read(_ directory: borrowing OwnedDescriptor) throws(Errno) -> Secret? {
        do throws(Errno) {
            let bytes = try directory.open(file, .readOnly).read(length, at: 0)
            guard bytes.count == length else { return nil }
            return Secret(String(decoding: bytes, as: UTF8.self))
        } catch .noSuchFileOrDirectory { return nil }
    }

    private static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        var text = ""
        for _ in 0..<4 {
            let digits = String(generator.next() as UInt64, radix: 16)
            text += String(repeating: "0", count: 16 - digits.count) + digits
        }
        return text
    }
}
