internal import Crypto
internal import FXSystem

/// The digests of a range of a content: computed in one pass before the request, since both go into its head.
struct S3Digests: Sendable {
    /// What every service verifies of a part. SeaweedFS 4.48 does not look at the digest in the signature.
    var md5: [UInt8]
    /// In the signature; nil where TLS guards the body.
    var sha256: SHA256Digest?

    /// In the cache of the processor, and few system calls.
    private static let pieceSize = 256 << 10

    init(_ range: Range<UInt64>, of content: any UploadContent, signsPayload: Bool) throws(RemoteError) {
        var md5 = Insecure.MD5()
        var sha256 = SHA256()
        var piece = [UInt8](repeating: 0, count: S3Digests.pieceSize)
        var position = range.lowerBound
        while position < range.upperBound {
            let wanted = min(piece.count, Int(clamping: range.upperBound - position))
            let count = try unsafe piece.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
                let space = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[..<wanted])
                let count = try unsafe content.read(into: space, at: position)
                let bytes = unsafe UnsafeRawBufferPointer(rebasing: space[..<count])
                unsafe md5.update(bufferPointer: bytes)
                if signsPayload { unsafe sha256.update(bufferPointer: bytes) }
                return count
            }
            // The content is shorter than it was said to be: sending it would hang until the service gives up.
            if count == 0 { throw .verificationMismatch }
            position += UInt64(count)
        }
        self.md5 = Array(md5.finalize())
        self.sha256 = signsPayload ? SHA256Digest(sha256) : nil
    }
}
