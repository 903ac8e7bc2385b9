internal import FXRemote
internal import FXSystem

/// Gives a backend its secret each time it logs in. A file is read anew each time, so a changed password needs no new
/// mount; what a command printed is good for a minute.
///
/// Any thread may ask; one reads at a time, and others wait for its result.
final class SecretKeeper: Sendable {
    /// Requests come many in a second; programs that ask a person or a vault do not start as often.
    static let commandLife = Duration.seconds(60)

    private struct State {
        var isReading = false
        var kept: (secret: Secret, until: ContinuousDeadline)?
    }

    private let source: SecretSource
    private let reader: SecretReader
    private let state = Monitor(State())

    init(_ source: SecretSource, _ reader: SecretReader) {
        self.source = source
        self.reader = reader
    }

    /// - Throws: `.noSecret` with the reason.
    func secret() throws(RemoteError) -> Secret {
        guard case .command = source else { return try read() }
        let kept: Secret? =
            state.wait { state -> Secret?? in
                if let kept = state.kept, !kept.until.hasPassed { return .some(kept.secret) }
                if state.isReading { return nil }
                state.isReading = true
                return .some(nil)
            } ?? nil
        if let kept { return kept }
        do throws(RemoteError) {
            let secret = try read()
            state.withLock { $0 = State(kept: (secret, .after(SecretKeeper.commandLife))) }
            return secret
        } catch {
            state.withLock { $0.isReading = false }
            throw error
        }
    }

    private func read() throws(RemoteError) -> Secret {
        do throws(CommandFailure) { return try reader.read(source) } catch { throw .noSecret(error.message) }
    }
}
