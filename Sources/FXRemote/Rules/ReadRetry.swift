/// Whether a range that did not come whole is asked for again, from where it ended.
enum ReadRetry {
    /// A connection that ended, and the one made in its place, may be old ones of a service that was started anew.
    static let limit = 2

    /// - Parameter failures: in a row without a byte, this one included.
    static func asksAgain(after error: RemoteError, failures: Int) -> Bool {
        switch error {
        // Silence has taken its time already (L10).
        case .unreachable, .unavailable: failures <= limit
        default: false
        }
    }
}
