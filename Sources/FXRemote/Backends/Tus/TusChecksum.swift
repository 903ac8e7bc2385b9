internal import Crypto
internal import FXSystem

/// An algorithm for `Upload-Checksum`, the strongest first.
enum TusChecksum: String, Sendable, CaseIterable {
    case sha512, sha256, sha1, md5

    /// The value of the field for a range, read once before it is sent.
    func field(_ range: Range<UInt64>, of content: any UploadContent) throws(RemoteError) -> String {
        let digest =
            switch self {
            case .sha512: try TusChecksum.digest(SHA512(), range, content)
            case .sha256: try TusChecksum.digest(SHA256(), range, content)
            case .sha1: try TusChecksum.digest(Insecure.SHA1(), range, content)
            case .md5: try TusChecksum.digest(Insecure.MD5(), range, content)
            }
        return "\(rawValue) \(base64(digest))"
    }

    /// In the cache of the processor, and few system calls.
    private static let pieceSize = 256 << 10

    private static func digest(
        _ function: some HashFunction, _ range: Range<UInt64>, _ content: any UploadContent
    ) throws(RemoteError) -> [UInt8] {
        var function = function
        var piece = [UInt8](repeating: 0, count: pieceSize)
        var position = range.lowerBound
        while position < range.upperBound {
            let wanted = min(piece.count, Int(clamping: range.upperBound - position))
            let count = try unsafe piece.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
                let space = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[..<wanted])
                let count = try unsafe content.read(into: space, at: position)
                unsafe function.update(bufferPointer: UnsafeRawBufferPointer(rebasing: space[..<count]))
                return count
            }
            // The content is shorter than it was said to be: sending it would hang until the service gives up.
            if count == 0 { throw .verificationMismatch }
            position += UInt64(count)
        }
        return Array(function.finalize())
    }
}
