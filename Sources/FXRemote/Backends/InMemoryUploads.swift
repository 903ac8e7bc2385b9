internal import FXSystem

/// The unfinished uploads of `InMemoryService`: known by their notes, as a multipart upload is by its id.
struct InMemoryUploads: Sendable {
    private struct Held: Sendable {
        var upload: UploadID
        var path: RelativePath
        /// Chunks by their first byte.
        var chunks: [UInt64: [UInt8]] = [:]

        var ranges: ByteRanges { ByteRanges(chunks.map { $0.key..<$0.key + UInt64($0.value.count) }) }
    }

    private var held: [String: Held] = [:]
    private var number = 0
    /// Chunks come one after another.
    let isInOrder: Bool

    init(isInOrder: Bool) { self.isInOrder = isInOrder }

    var ids: [UploadID] { held.values.map(\.upload) }

    private func key(of upload: Upload) -> String? {
        if let note = upload.note { return held[note] == nil ? nil : note }
        return held.first { $0.value.upload == upload.id && $0.value.path == upload.path }?.key
    }

    func ranges(of upload: Upload) -> ByteRanges? { key(of: upload).flatMap { held[$0]?.ranges } }

    /// - Returns: the note.
    mutating func begin(_ upload: Upload) throws(RemoteError) -> String {
        if let known = key(of: upload) { return known }
        if upload.note != nil { throw .expired }
        number += 1
        let note = "n\(number)"
        held[note] = Held(upload: upload.id, path: upload.path)
        return note
    }

    mutating func put(_ chunk: [UInt8], at offset: UInt64, of upload: Upload) throws(RemoteError) {
        guard let key = key(of: upload), var state = held[key] else { throw .expired }
        if isInOrder {
            let before = state.chunks[0] ?? []
            guard before.count >= Int(offset) else { throw .protocolViolation }
            state.chunks[0] = Array(before.prefix(Int(offset))) + chunk
        } else {
            state.chunks[offset] = chunk
        }
        held[key] = state
    }

    /// The bytes of a finished upload, which is forgotten; nil when some are missing or too many.
    mutating func take(_ upload: Upload) throws(RemoteError) -> [UInt8]? {
        guard let key = key(of: upload), let state = held.removeValue(forKey: key) else { throw .expired }
        var bytes: [UInt8] = []
        // What lies past the size was sent before the file shrank.
        while UInt64(bytes.count) < upload.size.rawValue, let chunk = state.chunks[UInt64(bytes.count)] {
            bytes += chunk
        }
        return UInt64(bytes.count) == upload.size.rawValue ? bytes : nil
    }

    mutating func discard(_ upload: Upload) { if let key = key(of: upload) { held[key] = nil } }

    /// The service loses all of them, as a sweep of old uploads does.
    mutating func forgetAll() { held = [:] }
}
