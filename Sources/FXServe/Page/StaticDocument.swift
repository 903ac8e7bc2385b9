internal import FXSystem

/// What can be had without an application: the page, the description of the API, `/info`.
enum StaticDocument: String, Sendable, CaseIterable {
    case page = "/"
    case style = "/page.css"
    case script = "/page.js"
    case description = "/openapi.json"
    case info = "/info"

    init?(path: String) { self.init(rawValue: path) }

    /// The page loads nothing from elsewhere, is in nobody's frame, and sends no form.
    static let contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'"

    func reply(_ desk: Desk) -> Reply {
        switch self {
        case .page: text(ownerPage, "text/html; charset=utf-8")
        case .style: text(ownerPageStyle, "text/css; charset=utf-8")
        case .script: text(ownerPageScript, "text/javascript; charset=utf-8")
        case .description: .document(OpenAPIDocument.json)
        case .info: .success(info(desk.settings, port: desk.port))
        }
    }

    private func text(_ text: String, _ type: String) -> Reply {
        var reply = Reply(status: 200, contentType: type, body: .bytes(Array(text.utf8)))
        reply.fields = [
            ("Content-Security-Policy", StaticDocument.contentSecurityPolicy), ("Referrer-Policy", "no-referrer"),
            ("X-Frame-Options", "DENY"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ]
        return reply
    }

    /// The generation of the connector whose wire format is spoken: from 3.5.0 on clients join `relPath` with commas.
    static let connectorVersion = "3.8.8"

    private func info(_ settings: ServeSettings, port: UInt16) -> JSONValue {
        [
            "t1CInfoAPI": [
                "version": .string(StaticDocument.connectorVersion), "optionalConsent": false,
                "service": ["deviceType": "LINUX", "apiPort": .string(String(port))],
            ],
            "fxmount": [
                "version": .string(settings.programVersion), "payloadLimit": .bytes(settings.payloadLimit),
                "codes": .string(settings.vintage.rawValue),
            ],
        ]
    }
}
