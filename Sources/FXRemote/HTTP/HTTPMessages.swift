public import FXSystem

/// The method of a request (RFC 9110 section 9).
public enum HTTPMethod: String, Sendable {
    case get = "GET", head = "HEAD", put = "PUT", post = "POST", patch = "PATCH", delete = "DELETE", options = "OPTIONS"

    /// True when a repetition has no further effect (RFC 9110 section 9.2.2).
    public var isIdempotent: Bool { self != .post && self != .patch }
}

/// Header fields in order; names compare without regard to case (RFC 9110 section 5.1).
public struct HTTPFields: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    public private(set) var fields: [(name: String, value: String)] = []

    public init() {}
    public init(dictionaryLiteral elements: (String, String)...) { for (name, value) in elements { add(name, value) } }

    /// The first value of a field.
    public subscript(name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    public func values(of name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    /// Adds a field; control characters in a value are refused by `HTTPRequest.check`.
    public mutating func add(_ name: String, _ value: String) { fields.append((name, value)) }

    public mutating func set(_ name: String, _ value: String) {
        fields.removeAll { $0.name.lowercased() == name.lowercased() }
        add(name, value)
    }

    public static func == (left: HTTPFields, right: HTTPFields) -> Bool {
        left.fields.elementsEqual(right.fields) { $0.name == $1.name && $0.value == $1.value }
    }
}

/// The bytes a request carries. All of them can be sent again from the start: a retry is possible by type.
public enum HTTPBody: Sendable {
    case none
    case bytes([UInt8])
    /// `prefix`, then a range of a content, then `suffix`: one part of a form, or one chunk. Read on the transport's
    /// thread while it is sent, so `content` must be a local file or memory.
    case content(any UploadContent, Range<UInt64>, prefix: [UInt8] = [], suffix: [UInt8] = [])

    /// In bytes; sent as Content-Length.
    public var count: UInt64 {
        switch self {
        case .none: 0
        case .bytes(let bytes): UInt64(bytes.count)
        case .content(_, let range, let prefix, let suffix):
            UInt64(prefix.count) + (range.upperBound - range.lowerBound) + UInt64(suffix.count)
        }
    }
}

/// How long one exchange may take. Nothing waits for ever.
public struct HTTPDeadlines: Sendable, Equatable {
    /// Name, TCP and TLS together.
    public var connect: Duration
    /// The longest time in which no byte moves in either direction, the service's thinking time included.
    public var idle: Duration
    /// From the first to the last byte; nil for none, as for an upload of unknown length of time.
    public var total: Duration?

    public init(connect: Duration = .seconds(10), idle: Duration = .seconds(60), total: Duration? = nil) {
        self.connect = connect
        self.idle = idle
        self.total = total
    }
}

/// Takes a response body piece by piece, on the transport's thread: it must not block.
public protocol HTTPSink: Sendable {
    /// Called once before the first piece, also when there will be none, for a status of 200…299 only; false refuses the
    /// body and ends the exchange.
    func begin(status: Int, fields: HTTPFields) -> Bool
    /// False ends the exchange with `.refusedBody`.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool
}

/// One request to a service. `target` is relative to the transport's base URL, so no request can leave its host.
public struct HTTPRequest: Sendable {
    public var method: HTTPMethod
    /// Begins with `/`; percent-encoded; may have a query. Appended to the scheme, host and port of the transport.
    public var target: String
    public var fields: HTTPFields
    public var body: HTTPBody
    public var deadlines: HTTPDeadlines
    /// Where the body of a successful answer goes; nil collects it, up to `collects` bytes.
    public var sink: (any HTTPSink)?
    /// The sink takes words of the service, such as a long list, and no part of a file: a limit on transfers does not
    /// count them (docs/SEMANTICS.md, L14).
    public var sinkTakesWords = false
    /// The most bytes of an answer kept in memory; more is `.tooLong`. 64 MiB holds any page of a listing; a list that
    /// has no pages goes into a sink.
    public var collects: Int = 64 << 20
    /// Words for the log in the place of `target`, when that holds a secret such as an access token.
    public var loggedTarget: String?

    public init(
        _ method: HTTPMethod, _ target: String, fields: HTTPFields = HTTPFields(), body: HTTPBody = .none,
        deadlines: HTTPDeadlines = HTTPDeadlines(), sink: (any HTTPSink)? = nil
    ) {
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
        self.deadlines = deadlines
        self.sink = sink
    }
}

/// The answer to a request, whatever its status. Redirects (3xx) are answers too: they are never followed.
public struct HTTPResponse: Sendable {
    public var status: Int
    public var fields: HTTPFields
    /// What was collected; empty with a sink, except for statuses outside 200…299 (at most 64 KiB of those).
    public var body: [UInt8]

    public init(status: Int, fields: HTTPFields = HTTPFields(), body: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    public var isSuccess: Bool { (200..<300).contains(status) }

    /// `Retry-After` in either form (RFC 9110 section 10.2.3): seconds, or a date against `now`.
    public func retryAfter(now: Timestamp) -> Duration? { RetryAfter.duration(fields["Retry-After"], now: now) }
}

/// Why there is no answer.
public enum HTTPFailure: Error, Sendable, Equatable {
    /// No connection: name, route, port. Nothing was sent.
    case unreachable(String)
    /// TLS said no: the certificate or the protocol. Nothing was sent.
    case untrusted(String)
    /// A deadline passed; `isSent` is false when the service cannot have seen anything of the request.
    case timedOut(isSent: Bool)
    /// The connection ended before the answer did; `isSent` as above.
    case cut(isSent: Bool)
    /// The answer is larger than the request collects.
    case tooLong
    /// The answer is no HTTP, or has a wrong length.
    case nonsense(String)
    /// The sink refused the body.
    case refusedBody
    /// The content of the request could not be read.
    case unreadable(RemoteError)
    /// The request cannot be sent as it is, such as for a line break in a field. Nothing was sent.
    case unsendable(String)
    /// More exchanges wait than the transport holds. Nothing was sent.
    case overloaded
    /// `HTTPCall.cancel` or the transport's end.
    case cancelled

    /// The same as facts of a remote: what is temporary stays temporary.
    public var remoteError: RemoteError {
        switch self {
        case .unreachable: .unreachable
        case .untrusted(let reason): .untrustedServer(reason)
        case .timedOut: .timedOut
        case .cut: .unreachable
        case .tooLong, .nonsense, .refusedBody: .protocolViolation
        case .unreadable(let error): error
        case .unsendable: .invalidArgument
        case .overloaded: .unavailable(retryAfter: nil)
        case .cancelled: .interrupted
        }
    }
}
