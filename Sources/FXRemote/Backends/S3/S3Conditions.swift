internal import Synchronization

/// Whether the service keeps to `If-None-Match` and `If-Match` when it writes. Found out once, with an empty object of
/// ours that is never written over where it does.
///
/// AWS, SeaweedFS, MinIO and Ceph do; older ones take the header and ignore it. There a name is looked up before it is
/// written to, which keeps one writer from its own mistakes and cannot keep two apart.
final class S3Conditions: Sendable {
    private let client: S3Client
    private let found = Mutex<Bool?>(nil)

    init(_ client: S3Client) { self.client = client }

    func work() throws(S3Failure) -> Bool {
        if let known = found.withLock({ $0 }) { return known }
        // The first may be the one that makes the object; the second can succeed only where nobody looks.
        var works = try isRefused()
        if !works { works = try isRefused() }
        let found = works
        self.found.withLock { $0 = found }
        return found
    }

    private func isRefused() throws(S3Failure) -> Bool {
        do throws(S3Failure) {
            try client.put(client.layout.conditional, [], if: .absent)
            return false
        } catch {
            if error.isPreconditionFailed { return true }
            if error.refusal?.isNotImplemented ?? false { return false }
            throw error
        }
    }
}
