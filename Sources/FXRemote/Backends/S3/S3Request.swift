internal import FXSystem

/// One request to S3 before it is signed.
struct S3Request: Sendable {
    /// How long an answer may take.
    enum Patience: Sendable {
        /// A question: the operation timeout from first to last byte.
        case operation
        /// Carries content in one direction: as long as bytes move.
        case content
        /// The service puts a file together, which AWS allows itself minutes for.
        case assembly
    }

    /// What the signature says of the body.
    enum Payload: Sendable, Equatable {
        /// Computed from a body in memory.
        case inMemory
        case digest(SHA256Digest)
        case unsigned
    }

    var method: HTTPMethod
    /// nil for the bucket itself.
    var key: S3Key?
    var query: [(name: String, value: String)] = []
    var fields: [(name: String, value: String)] = []
    var body = HTTPBody.none
    var payload = Payload.inMemory
    var patience = Patience.operation
    var sink: (any HTTPSink)?

    init(_ method: HTTPMethod, _ key: S3Key?) {
        self.method = method
        self.key = key
    }
}

/// On which state of a name a writing request depends.
enum S3Condition: Sendable, Equatable {
    /// There is nothing of this name yet.
    case absent
    /// The name has the content with this entity tag.
    case holds(String)

    var field: (name: String, value: String) {
        switch self {
        case .absent: ("If-None-Match", "*")
        case .holds(let tag): ("If-Match", S3Tag.quoted(tag))
        }
    }
}
