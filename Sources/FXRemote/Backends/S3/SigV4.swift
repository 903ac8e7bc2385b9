internal import Crypto
internal import FXSystem

/// Signature version 4 of AWS ("Authenticating Requests: Using the Authorization Header"), as pure functions.
///
/// The path is signed as it is sent: S3 neither decodes nor normalizes it.
enum SigV4 {
    struct Request: Sendable {
        var method: String
        /// Percent-encoded, `/` kept.
        var path: String
        /// Not encoded, in any order.
        var query: [(name: String, value: String)] = []
        /// Those that are signed; `host` and `x-amz-date` among them.
        var fields: [(name: String, value: String)]
        /// SHA-256 of the body in hexadecimal digits, or `unsignedPayload`.
        var payload: String
    }

    /// What a key is good for: one day, one region, one service.
    struct Scope: Sendable, Hashable {
        /// `20130524`.
        var date: String
        var region: String
        var service = "s3"

        var text: String { "\(date)/\(region)/\(service)/aws4_request" }
    }

    /// The body is left out of the signature: TLS guards it.
    static let unsignedPayload = "UNSIGNED-PAYLOAD"

    static func canonicalQuery(_ query: [(name: String, value: String)]) -> String {
        query.map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }
            .sorted { $0 < $1 }
            .map { "\($0)=\($1)" }
            .joined(separator: "&")
    }

    static func canonicalRequest(_ request: Request) -> String {
        let fields = sorted(request.fields)
        return [
            request.method, request.path, canonicalQuery(request.query),
            fields.map { "\($0.name):\($0.value)\n" }.joined(), signedNames(fields), request.payload,
        ].joined(separator: "\n")
    }

    static func stringToSign(_ request: Request, time: String, scope: Scope) -> String {
        let digest = SHA256Digest(hashing: Array(canonicalRequest(request).utf8))
        return ["AWS4-HMAC-SHA256", time, scope.text, digest.text].joined(separator: "\n")
    }

    /// - Returns: the key for a scope; worth keeping, since it costs four HMACs.
    static func signingKey(_ secret: Secret, scope: Scope) -> SymmetricKey {
        var key = SymmetricKey(data: Array("AWS4\(secret.reveal())".utf8))
        for part in [scope.date, scope.region, scope.service, "aws4_request"] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key))
        }
        return key
    }

    static func signature(_ request: Request, time: String, scope: Scope, key: SymmetricKey) -> String {
        let text = Array(stringToSign(request, time: time, scope: scope).utf8)
        return hexadecimal(HMAC<SHA256>.authenticationCode(for: text, using: key))
    }

    /// - Parameter time: `20130524T000000Z`, the value of the field `x-amz-date`.
    /// - Returns: the value of the field `Authorization`.
    static func authorization(
        _ request: Request, time: String, scope: Scope, key: SymmetricKey, accessKeyID: String
    ) -> String {
        let names = signedNames(sorted(request.fields))
        let signature = signature(request, time: time, scope: scope, key: key)
        return "AWS4-HMAC-SHA256 Credential=\(accessKeyID)/\(scope.text),SignedHeaders=\(names),Signature=\(signature)"
    }

    private static func sorted(_ fields: [(name: String, value: String)]) -> [(name: String, value: String)] {
        fields.map { ($0.name.lowercased(), trimmed($0.value)) }.sorted { $0.0 < $1.0 }
    }

    private static func signedNames(_ fields: [(name: String, value: String)]) -> String {
        fields.map(\.name).joined(separator: ";")
    }

    /// Spaces at the ends go; several in a row are one.
    private static func trimmed(_ value: String) -> String {
        value.split(separator: " ").joined(separator: " ")
    }
}
