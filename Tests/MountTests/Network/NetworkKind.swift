import FXSystem
import ServiceFixtures
import Testing

/// The services whose sessions are tested through a mount. A further one is a case here and a type that is a
/// `NetworkPlace`; every suite then runs over it.
enum NetworkKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case opentera, s3

    var testDescription: String { rawValue }

    /// It has an answer for a quota that is used up.
    var hasQuotas: Bool { self == .s3 }

    /// It takes many files at the same time; docs/SERVICES.md says why `opentera` does not.
    var takesManyAtOnce: Bool { self != .opentera }

    /// A clean part of a service with a proxy in front of it.
    /// - Parameter alone: nobody else uses the service's processes, so that they may be stopped and killed.
    func place(alone: Bool = false) throws -> any NetworkPlace {
        switch self {
        case .opentera: try OpenTeraPlace()
        case .s3: try S3Place(alone: alone)
        }
    }
}

/// A service for one test, behind a fault proxy. What it tells comes from the service's own account of itself.
protocol NetworkPlace: Sendable {
    var proxy: ProxyControl { get }
    /// The directories above sessions, below the remote; empty for none.
    var parent: String { get }
    /// Sessions have directories.
    var hasDirectories: Bool { get }
    /// Its keys in the configuration, the secret's place aside.
    var section: String { get }
    /// The key that says where the secret is, and the secret.
    var secret: (key: String, value: String) { get }
    /// Which requests carry the bytes of a small file, as parts of a rule of the proxy.
    var uploads: [JSONValue.Member] { get }
    /// What the service sends when a quota is used up, as parts of a rule; empty where it has no such answer.
    var quotaAnswer: [JSONValue.Member] { get }

    /// The digests of every file the service shows in a session, by path: what is there twice has two.
    func files(in session: String) throws -> [String: [String]]
    /// The paths of all files that ever arrived whole in a session, as often as they did.
    func arrivals(in session: String) throws -> [String]
    /// What finished uploads must not leave: unfinished ones, sessions that are there twice, claims.
    func leftovers() throws -> [String]
    /// Stops every thread of the service; connections stay.
    func freeze()
    func thaw()
    /// The service ends without notice and comes back.
    func restart() throws
}

extension NetworkPlace {
    /// A rule for uploads.
    func refusingUploads(_ what: [JSONValue.Member]) -> JSONValue { .object(uploads + what) }
}
