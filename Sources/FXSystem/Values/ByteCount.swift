/// A number of bytes.
public struct ByteCount: Hashable, Sendable, Comparable {
    public var rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads what people write: `"64MiB"`, `"500 MB"`, `"4096"`, `"1.5GiB"`; nil when it is none of these.
    ///
    /// Binary suffixes are powers of 1024 (KiB, MiB, GiB, TiB, also K, M, G, T), decimal ones powers of 1000 (kB, MB,
    /// GB, TB).
    public init?(parsing text: String) {
        let trimmed = text.filter { $0 != " " && $0 != "_" }
        let digits = trimmed.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), number >= 0, digits.first != ".", digits.last != "." else { return nil }
        let factor: UInt64
        switch trimmed.dropFirst(digits.count).lowercased() {
        case "", "b": factor = 1
        case "k", "kib": factor = 1 << 10
        case "m", "mib": factor = 1 << 20
        case "g", "gib": factor = 1 << 30
        case "t", "tib": factor = 1 << 40
        case "kb": factor = 1000
        case "mb": factor = 1_000_000
        case "gb": factor = 1_000_000_000
        case "tb": factor = 1_000_000_000_000
        default: return nil
        }
        if let whole = UInt64(digits) {
            let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
            if overflow { return nil }
            rawValue = product
        } else {
            let product = (number * Double(factor)).rounded()
            guard product < 0x1p63 else { return nil }
            rawValue = UInt64(product)
        }
    }

    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.rawValue < right.rawValue }
    public static func + (left: ByteCount, right: ByteCount) -> ByteCount { ByteCount(left.rawValue &+ right.rawValue) }
    /// Stops at zero.
    public static func - (left: ByteCount, right: ByteCount) -> ByteCount {
        ByteCount(left.rawValue > right.rawValue ? left.rawValue - right.rawValue : 0)
    }

    public static let zero = ByteCount(0)
    public static func kibibytes(_ count: UInt64) -> ByteCount { ByteCount(count << 10) }
    public static func mebibytes(_ count: UInt64) -> ByteCount { ByteCount(count << 20) }
}

extension ByteCount: CustomStringConvertible {
    /// Three digits and a binary unit: `1.50 GiB`; exact below 1 KiB.
    public var description: String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var value = Double(rawValue)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        if unit == 0 { return "\(rawValue) B" }
        let digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = UInt64((value * scale).rounded())
        if digits == 0 { return "\(scaled) \(units[unit])" }
        let fraction = String(scaled % UInt64(scale))
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(scaled / UInt64(scale)).\(zeros)\(fraction) \(units[unit])"
    }
}
