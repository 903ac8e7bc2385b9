internal import FXSystem

/// Keeping what a new content takes the place of: a sealed file is never lost, so its bytes are copied inside the
/// service before they are written over.
extension S3Service {
    /// One request copies that much (CopyObject).
    private static let copyLimit: UInt64 = 5 << 30
    /// Of a larger object, in parts.
    private static let copyPart: UInt64 = 1 << 30

    /// Copies an object to its place among the replaced ones; the same again when it was done before. A file that is
    /// not there any more has nothing to keep.
    func keep(_ object: S3ObjectID, size: ByteCount?, by upload: UploadID) throws(S3Failure) {
        let place: S3Key
        do throws(RemoteError) { place = try layout.replaced(object.key, by: upload) } catch { throw .failed(error) }
        let size = (size ?? .zero).rawValue
        if size <= S3Service.copyLimit { return try client.copy(object, to: place) }
        try copyInParts(object, size, to: place)
    }

    private func copyInParts(_ object: S3ObjectID, _ size: UInt64, to place: S3Key) throws(S3Failure) {
        let id = try client.createUpload(place, fields: [])
        do throws(S3Failure) {
            var parts: [S3Part] = []
            var position: UInt64 = 0
            while position < size {
                let range = position..<min(position + S3Service.copyPart, size)
                let tag = try client.copyPart(parts.count + 1, of: id, place, from: object, range)
                parts.append(S3Part(number: parts.count + 1, tag: tag, size: range.upperBound - range.lowerBound))
                position = range.upperBound
            }
            _ = try client.completeUpload(id, place, parts, if: nil)
        } catch {
            try client.abortUpload(id, place)
            throw error
        }
    }
}
