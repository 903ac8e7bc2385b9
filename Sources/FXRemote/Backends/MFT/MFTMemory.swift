internal import FXSystem

/// What this run remembers of groups and uploads. A value with bounds; what is forgotten is asked for again.
struct MFTMemory: Sendable {
    /// How one upload has gone.
    struct Progress: Sendable, Equatable {
        /// Which id of its own is the right one: earlier ones are used up at the service.
        var number = 0
        /// Refusals of chunks since the last one that was taken.
        var refusals = 0
        /// How often it was begun anew because chunks were refused.
        var restarts = 0
        /// Its completing request was sent, and how that ended is not known.
        var mayBeComplete = false
    }

    /// A group this run has opened or asked to complete.
    struct Group: Sendable, Equatable {
        var id: String
        /// The completing request was sent, and how that ended is not known.
        var mayBeComplete = false
    }

    private var uploads: [UploadID: Progress] = [:]
    private var opened: [String: Group] = [:]
    private var sizes: [String: ByteCount] = [:]

    /// Of each; far more than are under way at a time.
    private static let limit = 20_000

    subscript(upload: UploadID) -> Progress {
        get { uploads[upload] ?? Progress() }
        set {
            if uploads.count >= MFTMemory.limit, uploads[upload] == nil { uploads = [:] }
            uploads[upload] = newValue
        }
    }

    mutating func forget(_ upload: UploadID) { uploads[upload] = nil }

    /// A group by the path of its session; nil for one of an earlier run.
    func group(at path: RelativePath) -> Group? { opened[path.description] }

    mutating func note(_ group: Group, at path: RelativePath) {
        if opened.count >= MFTMemory.limit { opened = [:] }
        opened[path.description] = group
    }

    mutating func forgetGroup(at path: RelativePath) { opened[path.description] = nil }

    /// Sizes of committed files never change, but for what the service makes of them.
    func size(of file: String) -> ByteCount? { sizes[file] }

    mutating func note(_ size: ByteCount, of file: String) {
        if sizes.count >= MFTMemory.limit { sizes = [:] }
        sizes[file] = size
    }
}
