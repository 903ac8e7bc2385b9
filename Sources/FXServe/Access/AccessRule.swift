internal import FXMapping
internal import FXSystem

/// What a request says of itself, as far as access is concerned.
struct Credentials: Sendable {
    var host: String?
    var origin: String?
    /// The bearer token of `Authorization`.
    var bearer: String?
    var contentType: String?
    var csrfToken: String?
    /// `Sec-Fetch-Mode`, which only a browser sends and no page can set.
    var fetchMode: String?
    /// `X-FXMount-Application`: for whom the owner asks.
    var namedApplication: String?
}

/// Who asks, once it is established.
enum Visitor: Sendable, Equatable {
    /// A page of the web; whether it has consent is another question.
    case page(Origin)
    /// Whoever knows the owner's key; looks at the application it names, if it names one.
    case owner(ApplicationID?)

    var application: ApplicationID? {
        switch self {
        case .page(let origin): origin.application
        case .owner(let application): application
        }
    }
}

/// Decides who a request is from and whether it may ask at all; a pure rule.
struct AccessRule: Sendable {
    /// Names under which the server may be addressed; a name that only resolves to this machine is not one (DNS
    /// rebinding).
    var hosts: Set<String>
    var port: UInt16
    /// Needed besides everything else when others than this machine can connect.
    var token: Secret?
    /// Known to whoever can read the state directory.
    var ownerKey: Secret

    /// - Throws: `misdirected`, `unauthorized` or `originRefused`.
    func visitor(_ credentials: Credentials) throws(Refusal) -> Visitor {
        try checkHost(credentials.host)
        let isOwner = credentials.bearer.map { AccessRule.isSame($0, ownerKey.reveal()) } ?? false
        if let token, !isOwner {
            guard let bearer = credentials.bearer, AccessRule.isSame(bearer, token.reveal()) else {
                throw Refusal(.unauthorized, "a bearer token is needed")
            }
        }
        if isOwner { return .owner(try ownersApplication(credentials)) }
        guard let header = credentials.origin else {
            throw Refusal(.originRefused, "the request has no Origin")
        }
        guard let origin = Origin(header) else {
            throw Refusal(.originRefused, "the Origin is not one of a web page")
        }
        return .page(origin)
    }

    /// - Throws: `misdirected` unless `Host` names this server.
    func checkHost(_ header: String?) throws(Refusal) {
        guard let header, let authority = Authority(header) else {
            throw Refusal(.misdirected, "the request has no usable Host")
        }
        guard hosts.contains(authority.host), authority.port ?? 80 == port || authority.port ?? 443 == port else {
            throw Refusal(.misdirected, "this server does not answer under the name the request gives")
        }
    }

    /// The owner's key opens doors only to programs and to this server's own page, not to pages of others that got hold of it.
    private func ownersApplication(_ credentials: Credentials) throws(Refusal) -> ApplicationID? {
        if let header = credentials.origin {
            guard let origin = Origin(header), hosts.contains(origin.host), origin.port == port else {
                throw Refusal(.originRefused, "the owner's key is not for pages of others")
            }
        }
        guard let name = credentials.namedApplication else { return nil }
        guard let application = try? ApplicationID(name) else {
            throw Refusal(.parameter, "X-FXMount-Application: not the name of an application")
        }
        return application
    }

    /// Comparing takes the same time wherever the first difference is.
    static func isSame(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for (one, other) in zip(left, right) { difference |= one ^ other }
        return difference == 0
    }
}

/// What keeps forms and other requests that any page can send without asking (CORS: "simple" ones) from being obeyed; a
/// pure rule.
enum CrossSiteRule {
    enum Body: Sendable { case json, form }

    /// - Throws: `unsupportedMediaType` or `originRefused`.
    static func check(_ credentials: Credentials, expecting body: Body) throws(Refusal) {
        if let mode = credentials.fetchMode?.lowercased(), mode == "navigate" || mode == "no-cors" {
            throw Refusal(.originRefused, "the request comes from a form or a link")
        }
        let type = mediaType(credentials.contentType ?? "")
        switch body {
        case .json:
            // A form cannot say application/json without a preflight.
            guard type == "application/json" else {
                throw Refusal(.unsupportedMediaType, "the body has to be application/json")
            }
        case .form:
            guard type == "multipart/form-data" else {
                throw Refusal(.unsupportedMediaType, "the body has to be multipart/form-data")
            }
            // A form can say multipart/form-data, and no header of its own.
            guard let token = credentials.csrfToken, !token.isEmpty else {
                throw Refusal(.originRefused, "the header X-CSRF-Token is missing")
            }
        }
    }

    static func mediaType(_ header: String) -> String {
        let type = header.prefix { $0 != ";" }
        return String(type.filter { $0 != " " && $0 != "\t" }).lowercased()
    }
}
