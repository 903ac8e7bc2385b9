internal import Glibc

/// One component of a path, as bytes: not empty, no `/`, no NUL, not `.` or `..`, at most 255 bytes.
///
/// Linux names are bytes (path_resolution(7)); a Name survives a round trip whatever its encoding.
public struct Name: Hashable, Sendable {
    /// The bytes and a final NUL, so that a system call can borrow them.
    @usableFromInline let terminated: [UInt8]

    /// NAME_MAX of Linux, in bytes.
    public static let maximumLength = 255

    /// Checks bytes that come from a user, a database or a server.
    public init(validating bytes: some Collection<UInt8>) throws(NameError) {
        if bytes.isEmpty { throw .empty }
        if bytes.count > Name.maximumLength { throw .tooLong(bytes.count) }
        var terminated = [UInt8]()
        terminated.reserveCapacity(bytes.count + 1)
        terminated.append(contentsOf: bytes)
        terminated.append(0)
        if let error = Name.error(in: terminated) { throw error }
        self.terminated = terminated
    }

    /// The same for bytes in memory, such as those of a listing: not generic, since this runs for each of its names.
    init(copying bytes: UnsafeRawBufferPointer) throws(NameError) {
        if unsafe bytes.isEmpty { throw .empty }
        if bytes.count > Name.maximumLength { throw .tooLong(bytes.count) }
        let terminated = unsafe [UInt8](unsafeUninitializedCapacity: bytes.count + 1) { space, count in
            unsafe UnsafeMutableRawBufferPointer(space).copyMemory(from: bytes)
            unsafe space[bytes.count] = 0
            count = bytes.count + 1
        }
        if let error = Name.error(in: terminated) { throw error }
        self.terminated = terminated
    }

    /// What is wrong with the bytes before the final NUL. Of an array, since generic code is not specialised in other
    /// modules: this runs for each name of each listing.
    private static func error(in terminated: [UInt8]) -> NameError? {
        let dot = UInt8(ascii: ".")
        if terminated.count <= 3, terminated.dropLast().allSatisfy({ $0 == dot }) { return .dots }
        var isOver = false
        for byte in terminated {
            // A NUL that is not the last byte.
            if isOver { return .nul }
            if byte == UInt8(ascii: "/") { return .slash }
            isOver = byte == 0
        }
        return nil
    }

    /// Checks the UTF-8 bytes of `text`.
    public init(_ text: String) throws(NameError) {
        try self.init(validating: Array(text.utf8))
    }

    /// A name that is part of the program. Bytes that are no name's are replaced, so that it can never be an invalid
    /// one.
    public init(constant text: StaticString) {
        let bytes = String(describing: text).utf8.prefix(Name.maximumLength).map { $0 == 0 || $0 == 0x2f ? 0x5f : $0 }
        terminated = (bytes.isEmpty || bytes == [0x2e] || bytes == [0x2e, 0x2e] ? [0x5f] : bytes) + [0]
    }

    /// Copies a name the kernel passed to a handler.
    ///
    /// The VFS has already refused `/` and NUL and keeps `.` and `..` to itself; both are checked again because the
    /// bytes decide what is reachable.
    public init(copying cString: UnsafePointer<CChar>) throws(NameError) {
        let length = unsafe strlen(cString)
        let bytes = unsafe UnsafeRawBufferPointer(start: cString, count: length)
        unsafe try self.init(copying: bytes)
    }

    /// The number of bytes, without the NUL.
    public var count: Int { terminated.count - 1 }

    /// The bytes, without the NUL.
    public var bytes: ArraySlice<UInt8> { terminated.dropLast() }

    /// Lends the bytes as a C string for the time of `body`.
    @inlinable
    public func withCString<Result, Failure: Error>(
        _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe terminated.withUnsafeBufferPointer { buffer throws(Failure) in
            // The storage always ends with a NUL, so the base address exists.
            try unsafe UnsafeRawPointer(buffer.baseAddress.unsafelyUnwrapped)
                .withMemoryRebound(to: CChar.self, capacity: buffer.count) { pointer throws(Failure) in
                    unsafe try body(pointer)
                }
        }
    }
}

/// Why bytes are not a file name.
public enum NameError: Error, Equatable, Sendable {
    case empty, dots, nul, slash
    /// Longer than 255 bytes; carries the length.
    case tooLong(Int)
}

extension Name: Comparable {
    /// Byte order, the order of `LC_ALL=C ls`.
    public static func < (left: Name, right: Name) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension Name: CustomStringConvertible {
    /// The name for a person: UTF-8 where it is, everything that could deceive a terminal escaped as `\xNN`.
    public var description: String { displayed(bytes) }
}

/// Bytes as text for logs and terminals: invalid UTF-8 and control or direction characters appear as `\xNN`.
public func displayed(_ bytes: some Collection<UInt8>) -> String {
    var shown = ""
    var rest = Substring(decoding: bytes, as: UTF8.self).unicodeScalars
    if Array(String(rest).utf8).elementsEqual(bytes) {
        while let scalar = rest.popFirst() {
            if isSafeToShow(scalar) {
                shown.unicodeScalars.append(scalar)
            } else {
                for byte in String(scalar).utf8 { shown += escape(byte) }
            }
        }
        return shown
    }
    for byte in bytes { shown += (0x20..<0x7f).contains(byte) ? String(UnicodeScalar(byte)) : escape(byte) }
    return shown
}

private func isSafeToShow(_ scalar: UnicodeScalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .lineSeparator, .paragraphSeparator: false
    default: true
    }
}

private func escape(_ byte: UInt8) -> String {
    let digits = Array("0123456789abcdef")
    return "\\x\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
}
