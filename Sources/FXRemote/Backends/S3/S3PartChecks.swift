internal import Synchronization

/// By what this service verifies the parts it is sent. Found out with the first of them.
///
/// SeaweedFS, and others that keep to what a part itself says, verify a CRC-32C and repeat it in their answer. Who does not
/// repeat it did not look; AWS refuses one that was not named when the upload was begun, and naming it there would mean to
/// tell all of them again at the end, which SeaweedFS lists nowhere: after a crash an upload could not be finished. Those
/// get `Content-MD5`, which all verify.
final class S3PartChecks: Sendable {
    private let known = Mutex(S3Digests.Check.castagnoli)

    /// Sends a part, and once more where the service did not verify it.
    /// - Parameter send: answers nil when the service did not verify the part.
    func verified(
        _ send: (S3Digests.Check) throws(RemoteError) -> String?
    ) throws(RemoteError) -> String {
        let check = known.withLock { $0 }
        if let tag = try send(check) { return tag }
        known.withLock { $0 = .md5 }
        guard check != .md5, let tag = try send(.md5) else { throw .protocolViolation }
        return tag
    }
}
