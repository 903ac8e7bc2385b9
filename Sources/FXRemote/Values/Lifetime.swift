internal import FXSystem

/// How long a service is to keep something, in whole seconds.
public struct Lifetime: Sendable, Equatable {
    public let seconds: Int64

    /// The longest: what services can count with (10,675,199 days).
    public static let maximumDays: Int64 = 10_675_199

    /// Reads `30d`, `12h` and the like, or `DD:HH:MM` with or without `:SS`; nil for anything else.
    public init?(_ text: String) {
        guard text.contains(":") else {
            guard let span = parseDuration(text)?.components, span.attoseconds == 0, span.seconds > 0,
                span.seconds / 86_400 <= Lifetime.maximumDays
            else { return nil }
            seconds = span.seconds
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3 || parts.count == 4,
            parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        let numbers = parts.compactMap { Int64($0) } + [0]
        guard numbers.count > parts.count, (0...Lifetime.maximumDays).contains(numbers[0]),
            (0...23).contains(numbers[1]), (0...59).contains(numbers[2]), (0...59).contains(numbers[3])
        else { return nil }
        seconds = ((numbers[0] * 24 + numbers[1]) * 60 + numbers[2]) * 60 + numbers[3]
        if seconds == 0 { return nil }
    }

    init(seconds: Int64) { self.seconds = seconds }

    /// `DD:HH:MM:SS`.
    public var text: String {
        let parts = [seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60]
        return parts.map { $0 < 10 ? "0\($0)" : String($0) }.joined(separator: ":")
    }
}

/// How long the files of a session are kept, before and after it was completed.
enum SessionLife: Sendable, Equatable {
    /// From its completion on.
    case lasting(Lifetime)
    case until(Timestamp)

    var lifetime: Lifetime? { if case .lasting(let lifetime) = self { lifetime } else { nil } }
    var end: Timestamp? { if case .until(let end) = self { end } else { nil } }

    /// For the journal: `+` and seconds, or seconds since 1970.
    var text: String {
        switch self {
        case .lasting(let lifetime): "+\(lifetime.seconds)"
        case .until(let end): "\(end.seconds)"
        }
    }

    init(lasting lifetime: Lifetime) { self = .lasting(lifetime) }

    /// nil for what was not written by `text`.
    init?(text: String) {
        guard let number = Int64(text) else { return nil }
        self = text.hasPrefix("+") ? .lasting(Lifetime(seconds: number)) : .until(Timestamp(seconds: number))
    }
}
