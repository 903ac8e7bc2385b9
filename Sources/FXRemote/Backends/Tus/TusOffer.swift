internal import FXSystem

/// What a service says of itself in its answer to OPTIONS.
struct TusOffer: Sendable, Equatable {
    static let version = "1.0.0"

    private(set) var extensions: Set<String> = []
    private(set) var maximumSize: ByteCount?
    /// The best that both sides know; nil for none.
    private(set) var checksum: TusChecksum?
    /// The service does not answer OPTIONS, which it may: the core protocol and creation are taken for granted.
    private(set) var isGuessed = false

    var createsWithUpload: Bool { extensions.contains("creation-with-upload") }
    var defersLength: Bool { extensions.contains("creation-defer-length") }
    var terminates: Bool { extensions.contains("termination") }
    var expires: Bool { extensions.contains("expiration") }

    /// - Throws: why this is no service to upload to.
    init(_ response: HTTPResponse, now: Timestamp) throws(RemoteError) {
        switch response.status {
        case 200..<300: break
        case 404, 405, 501:
            isGuessed = true
            return
        default: throw response.remoteError(now: now)
        }
        let versions = TusOffer.list(response.fields["Tus-Version"])
        if versions.isEmpty { throw .rejected(status: response.status, saying: "it does not speak tus; check the url") }
        if !versions.contains(TusOffer.version) {
            throw .rejected(status: response.status, saying: "it speaks another version of tus than 1.0.0")
        }
        extensions = Set(TusOffer.list(response.fields["Tus-Extension"]))
        if !extensions.contains("creation") {
            throw .rejected(
                status: response.status, saying: "it lets nobody create uploads (no tus extension creation)")
        }
        maximumSize = response.fields["Tus-Max-Size"].flatMap { UInt64($0) }.map { ByteCount($0) }
        if extensions.contains("checksum") {
            let offered = Set(TusOffer.list(response.fields["Tus-Checksum-Algorithm"]))
            checksum = TusChecksum.allCases.first { offered.contains($0.rawValue) }
        }
    }

    /// A comma-separated list; fields of one name count as one.
    private static func list(_ text: String?) -> [String] {
        (text ?? "").split(separator: ",").map { String($0.drop { $0 == " " }.prefix { $0 != " " }) }
    }
}
