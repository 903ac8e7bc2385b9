internal import Glibc

/// What a directory calls one of its entries.
public enum EntryName: Sendable, Equatable {
    case name(Name)
    /// The directory itself.
    case dot
    /// The directory above.
    case dotDot

    /// Takes the bytes before the first NUL, all of them without one; nil when they are no name.
    init?(padded: Slice<UnsafeRawBufferPointer>) {
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: padded)
        guard let start = bytes.baseAddress else { return nil }
        let length = unsafe strnlen(start.assumingMemoryBound(to: CChar.self), bytes.count)
        let dots = unsafe bytes.prefix(length).prefix { $0 == UInt8(ascii: ".") }.count
        if length == 1, dots == 1 {
            self = .dot
        } else if length == 2, dots == 2 {
            self = .dotDot
        } else if let name = unsafe try? Name(copying: UnsafeRawBufferPointer(rebasing: bytes[..<length])) {
            self = .name(name)
        } else {
            return nil
        }
    }

    /// Without a NUL.
    public var bytes: [UInt8] {
        switch self {
        case .name(let name): Array(name.bytes)
        case .dot: [UInt8(ascii: ".")]
        case .dotDot: [UInt8(ascii: "."), UInt8(ascii: ".")]
        }
    }

    /// Lends the bytes as a C string for the time of `body`.
    public func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        switch self {
        case .name(let name): unsafe name.withCString(body)
        case .dot: unsafe ".".withCString(body)
        case .dotDot: unsafe "..".withCString(body)
        }
    }
}
