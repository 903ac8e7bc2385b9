internal import FXSystem
internal import Glibc
internal import SystemPackage

/// The name of a state directory among several that write to one service; made once and kept.
enum WriterID {
    private static let fileName = "writer"
    private static let length = 16

    /// Reads the name, or makes it. The caller holds the lock of the state directory.
    /// - Throws: exit 10 when it cannot be read or written.
    static func of(_ directory: borrowing StateDirectory) throws(CommandFailure) -> String {
        if let kept = read(from: directory) { return kept }
        let made = random()
        do throws(Errno) {
            try AtomicFile.write(Array((made + "\n").utf8), to: fileName, in: directory.descriptor, mode: 0o600)
        } catch {
            throw CommandFailure(
                error, "cannot write", path: directory.path(of: fileName), status: .configuration)
        }
        return made
    }

    /// nil before the first mount.
    static func read(from directory: borrowing StateDirectory) -> String? {
        guard let name = try? Name(fileName), let file = try? directory.descriptor.open(name, [.readOnly]),
            let bytes = try? file.read(length + 1, at: 0)
        else { return nil }
        let text = String(decoding: bytes.prefix(length), as: UTF8.self)
        return text.utf8.count == length && text.allSatisfy({ $0.isASCII && $0.isHexDigit }) ? text : nil
    }

    /// For a look without a state directory.
    static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        let digits = String(generator.next() as UInt64, radix: 16)
        return String(repeating: "0", count: length - digits.count) + digits
    }
}
