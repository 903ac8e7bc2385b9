public import FXSystem

/// A tus service as a remote.
public struct TusConfiguration: Sendable {
    /// Where the service keeps what is uploaded.
    public enum Layout: String, Sendable, CaseIterable {
        /// Found out with the first upload, before a byte of it is sent.
        case auto
        /// Under a name of its own: every upload is created at the same url, and its metadata names the file.
        case flat
        /// Under the path it is created at, below the url, as SeaweedFS does.
        case path
    }

    /// Path of the creation url, percent-encoded; a slash at its end counts.
    public var creationPath: String
    /// Sent as `Authorization: Bearer`; nil when the service is open. Asked again after the service refused it.
    public var token: (@Sendable () throws(RemoteError) -> Secret)?
    public var layout = Layout.auto
    /// Path on the same host below which a service of layout `path` serves the files; nil when it does not.
    public var filesPath: String?
    public var allowsDelete = false
    /// For every request but those that carry content.
    public var operationTimeout: Duration = .seconds(15)
    /// Sent by one request. A service keeps what came before a cut, so this bounds only how coarse progress is shown.
    public var chunkSize = ByteCount.mebibytes(16)

    public init(creationPath: String) { self.creationPath = creationPath }
}
