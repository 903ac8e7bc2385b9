import FXSystem
import ServiceFixtures

/// A service for one test, behind a fault proxy. What it tells comes from the service's own account of itself; the mount
/// is asked only for what its service cannot tell.
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
    /// What the service sends when the credentials are good no more, as parts of a rule.
    var deathAnswer: [JSONValue.Member] { get }

    /// Takes no larger files from now on; answers the keys of the configuration that say so, where the service does not.
    func limitFiles(to bytes: Int) throws -> [String]
    /// The digests of every file the service shows in a session, by path: what is there twice has two.
    func files(in session: String, of mount: NetworkMount) throws -> [String: [String]]
    /// The paths of all files that ever arrived whole in a session, as often as they did.
    func arrivals(in session: String, of mount: NetworkMount) throws -> [String]
    /// What finished uploads must not leave: unfinished ones, sessions that are there twice, claims.
    func leftovers(of mount: NetworkMount) throws -> [String]
    /// Stops every thread of the service; connections stay.
    func freeze()
    func thaw()
    /// The service ends without notice and comes back.
    func restart() throws
}

extension NetworkPlace {
    /// A rule for uploads.
    func refusingUploads(_ what: [JSONValue.Member]) -> JSONValue { .object(uploads + what) }

    /// What a restart is to the others of a service that keeps what it has: every connection ends with a reset, and so
    /// does for a moment who comes anew.
    func interrupt() throws {
        let before = try proxy.counter("connections")
        try proxy.set(["down": true])
        try proxy.cutAll(withReset: true)
        // Until somebody has found it gone; in some tests nobody is there to do so.
        _ = try waitUntil(seconds: 0.3) { try proxy.counter("connections") > before }
        try proxy.set(["down": false])
    }
}
