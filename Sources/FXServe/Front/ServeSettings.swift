public import FXSystem

/// How the server is to be run; everything checked by whoever makes it.
public struct ServeSettings: Sendable {
    /// Files of a certificate chain and its key, in PEM.
    public struct TLSFiles: Sendable, Equatable {
        public var certificate: String
        public var key: String
        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// An address of this machine and a port; 0 takes a free one.
    public var address = "127.0.0.1"
    public var port: UInt16 = 51983
    public var tls: TLSFiles?
    /// Needed when `address` is not a loopback address.
    public var token: Secret?
    /// Opens the page and the administration; made by `OwnerKey`.
    public var ownerKey: Secret
    /// Names besides the loopback ones under which pages may address the server.
    public var hostNames: [String] = []
    /// Origins that may ask for consent: whole origins, or `*` for all.
    public var askingOrigins: [String] = []
    /// Of the file in `download` and `upload`, inclusive. As published: 50 MB, read as the larger of its meanings.
    public var payloadLimit = ByteCount.mebibytes(50)
    public var vintage = Vintage.seed
    /// As `/info` tells it.
    public var programVersion = ""
    /// Of each application. A listing page of a fast application sends hundreds; a runaway loop thousands.
    public var requestsPerSecond = 5000
    /// More wait to be accepted. Each may hold about half a mebibyte.
    public var connections = 256
    /// How long a client may send or take nothing in the middle of a request, or keep an unused connection.
    public var idleTimeout = Duration.seconds(30)
    /// How long the user has for a question that names no time itself.
    public var promptTimeout = Duration.seconds(60)
    /// How long running requests may go on once the server is told to stop.
    public var stopTimeout = Duration.seconds(20)

    public init(ownerKey: Secret) { self.ownerKey = ownerKey }

    /// True while only programs on this machine can connect.
    public var isLoopback: Bool { Authority(address.contains(":") ? "[\(address)]" : address)?.isLoopback ?? false }

    /// What forbids starting, for a person; nil when nothing does.
    public var objection: String? {
        if !isLoopback && tls == nil { return "listening on \(address) lets others connect and needs TLS" }
        if !isLoopback && token == nil { return "listening on \(address) lets others connect and needs a bearer token" }
        for text in askingOrigins where text != "*" && Origin(text) == nil {
            return "\(displayed(text.utf8)) is not an origin such as https://app.example.org"
        }
        for name in hostNames where Authority(name)?.port != nil || Authority(name) == nil {
            return "\(displayed(name.utf8)) is not a host name"
        }
        return nil
    }

    /// The port connections come to, once it is known.
    func accessRule(port: UInt16) -> AccessRule {
        var hosts: Set = ["localhost", "127.0.0.1", "[::1]"]
        hosts.formUnion(hostNames.map { $0.lowercased() })
        if let own = Authority(address.contains(":") ? "[\(address)]" : address) { hosts.insert(own.host) }
        return AccessRule(hosts: hosts, port: port, token: token, ownerKey: ownerKey)
    }
}
