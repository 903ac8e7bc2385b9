internal import FXSystem
internal import Synchronization

/// What this process remembers of uploads under way. Nothing depends on it: what is forgotten is asked of the service.
final class TusMemory: Sendable {
    struct Held: Sendable {
        /// What the service said it has, in its last answer.
        var offset: UInt64?
        /// A file that was sent whole by one request.
        var committed: CommittedFile?
        /// When the service gives the unfinished upload up.
        var expires: Timestamp?
    }

    private let uploads = Mutex<[UploadID: Held]>([:])
    /// More than a remote sends at once; a failed upload may stay here until then.
    private static let limit = 256

    subscript(upload: UploadID) -> Held { uploads.withLock { $0[upload] ?? Held() } }

    func change(_ upload: UploadID, _ change: @Sendable (inout Held) -> Void) {
        uploads.withLock { uploads in
            if uploads.count >= TusMemory.limit, uploads[upload] == nil, let other = uploads.keys.first {
                uploads[other] = nil
            }
            change(&uploads[upload, default: Held()])
        }
    }

    /// Creations without an answer, until somebody asks for them.
    private let lost = Mutex<[LostUpload]>([])

    func note(_ upload: LostUpload) {
        lost.withLock { lost in
            if lost.count == TusMemory.limit { lost.removeFirst() }
            lost.append(upload)
        }
    }

    func takeLost() -> [LostUpload] {
        lost.withLock { lost in
            defer { lost = [] }
            return lost
        }
    }

    func forget(_ upload: UploadID) { uploads.withLock { $0[upload] = nil } }
}
