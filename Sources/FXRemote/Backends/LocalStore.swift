internal import Crypto
public import FXSystem
internal import Synchronization
internal import SystemPackage

/// Sessions in a directory of this machine; the embedded default remote.
///
/// ```
/// STORE/<session>/<path>                    committed files
/// STORE/<session>/.fxmount-manifest.json    makes a session complete
/// STORE/.staging/<upload>                   content that is not whole or not verified yet
/// STORE/.replaced/<path>/@<upload>          content that a newer one took the place of
/// ```
///
/// No call here deletes or overwrites anything: every `renameat2` is NOREPLACE or EXCHANGE, so whatever happens at the
/// same time, what was under a name is under another one afterwards. A file carries the id of its upload in an
/// extended attribute, so
/// that after a crash `standing(of:)` knows it again; without attributes size and SHA-256 tell.
public final class LocalStore: Backend {
    public let facts: BackendFacts
    let root: OwnedDescriptor
    let staging: OwnedDescriptor
    let replaced: OwnedDescriptor
    /// Directories whose names are known to be durable; bounded by `durableLimit`.
    private let durable = Mutex(Set<RelativePath>())
    private let didSync: @Sendable (RelativePath) -> Void

    static let manifestName = ".fxmount-manifest.json"
    static let uploadAttribute = "user.fxmount.upload"
    private static let durableLimit = 10_000

    /// Opens a store, and makes it when it is missing; its parent must exist.
    /// - Parameter adoptsSpoolFiles: false makes every upload a verified copy.
    public convenience init(path: String, adoptsSpoolFiles: Bool = true) throws(RemoteError) {
        try self.init(path: path, adoptsSpoolFiles: adoptsSpoolFiles, didSync: { _ in })
    }

    /// - Parameter didSync: hears of every file and directory below the store that was made durable, for tests.
    init(path: String, adoptsSpoolFiles: Bool, didSync: @escaping @Sendable (RelativePath) -> Void) throws(RemoteError)
    {
        self.didSync = didSync
        do throws(Errno) {
            root = try LocalStore.openOrMake(path)
            staging = try root.openOrMakeDirectory(try reserved(".staging"), mode: 0o700)
            replaced = try root.openOrMakeDirectory(try reserved(".replaced"), mode: 0o700)
            var facts = BackendFacts()
            facts.completesGroups = true
            facts.needsSizeFirst = false
            facts.renamesCommitted = true
            facts.adoptsLocalFiles = adoptsSpoolFiles
            facts.keepsModificationTimes = true
            facts.names.reservedForSessions = [try reserved(".staging"), try reserved(".replaced")]
            facts.names.reservedInSessions = [try reserved(LocalStore.manifestName)]
            self.facts = facts
        } catch { throw .local(error, during: .store) }
    }

    private static func openOrMake(_ path: String) throws(Errno) -> OwnedDescriptor {
        do throws(Errno) { return try OwnedDescriptor.open(absolute: path, .directory) } catch {
            if error != .noSuchFileOrDirectory { throw error }
            let slash = path.lastIndex(of: "/") ?? path.startIndex
            let parent = slash == path.startIndex ? "/" : String(path[..<slash])
            let name = try reserved(String(path[slash...].dropFirst()))
            return try OwnedDescriptor.open(absolute: parent, .directory).openOrMakeDirectory(name, mode: 0o700)
        }
    }

    public func prepare() throws(RemoteError) {
        try perform { () throws(Errno) in try root.reopenDirectory().sync() }
    }

    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        _ = try perform { () throws(Errno) in try directory(path) }
        return path.description
    }

    public func space() throws(RemoteError) -> FileSystemSpace { try perform { () throws(Errno) in try root.space() } }

    public func unfinishedUploads() throws(RemoteError) -> [UploadID] {
        try perform { () throws(Errno) in try staging.entryNames() }.map { UploadID($0.description) }
    }

    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        let path = file.path
        guard let name = path.name else { throw .isDirectory }
        let found = try perform { () throws(Errno) in
            SpoolFile(name: name, descriptor: try existingDirectory(path.parent).open(name, .readOnly))
        }
        return found
    }

    public func setModified(_ path: RelativePath, _ time: Timestamp) throws(RemoteError) {
        guard let name = path.name else { throw .invalidArgument }
        try perform { () throws(Errno) in
            try existingDirectory(path.parent).open(name, .pathOnly).setTimes(accessed: .keep, modified: .set(time))
        }
    }

    // MARK: - Uploads

    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        guard let name = upload.path.name else { throw .invalidArgument }
        if let held = try file(name, at: upload.path),
            try perform({ () throws(Errno) in try holds(held.descriptor, upload) })
        {
            // Whoever put it there may have ended before it was durable, and this answer frees the spool.
            try perform { () throws(Errno) in
                try settle(upload, held.descriptor, in: try existingDirectory(upload.path.parent))
            }
            return .committed(CommittedFile(remoteID: upload.path.description, size: upload.size))
        }
        let staged = try perform { () throws(Errno) in try status(of: try stagingName(upload), in: staging) }
        return staged.map { .partial(ByteRanges(upTo: min($0.size, upload.size).rawValue)) } ?? .nothing
    }

    /// True when a file is what an upload made, or has the same bytes.
    private func holds(_ file: borrowing OwnedDescriptor, _ upload: Upload) throws(Errno) -> Bool {
        if try file.status().size != upload.size { return false }
        if let mark = try? file.attribute(LocalStore.uploadAttribute), mark == Array(upload.id.text.utf8) {
            return true
        }
        return try digest(of: file) == upload.sha256
    }

    private func digest(of file: borrowing OwnedDescriptor) throws(Errno) -> SHA256Digest {
        let content = SpoolFile(name: try reserved("digest"), descriptor: try file.duplicate())
        var hasher = SHA256()
        try content.hash(0..<(try file.status().size.rawValue), into: &hasher)
        return SHA256Digest(hasher)
    }

    public func adopt(_ upload: Upload, _ content: any UploadContent) throws(RemoteError) -> CommittedFile {
        try checkOpen(upload.path)
        let name = try perform { () throws(Errno) in try stagingName(upload) }
        do throws(RemoteError) { try content.link(as: name, in: staging) } catch {
            if error != .exists { throw error }
            // From an earlier attempt: the same file, or a copy that is not whole.
            let staged = try perform { () throws(Errno) in try staging.status(of: name).identity }
            if staged != content.identity { throw .notSupported }
        }
        // The journal's digest was computed from this very file while it was written; reading it again would cost as
        // much as sending it. Its size tells whether somebody cut it since.
        let size = try perform { () throws(Errno) in try staging.status(of: name).size }
        if size != upload.size { throw .local(.ioError, during: .spool) }
        return try publish(upload, name)
    }

    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        try checkOpen(upload.path)
        _ = try perform { () throws(Errno) in
            try staging.open(try stagingName(upload), [.readWrite, .create], mode: 0o600)
        }
        return nil
    }

    public func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        let target = try perform { () throws(Errno) in try staging.open(try stagingName(upload), .readWrite) }
        var buffer = [UInt8](repeating: 0, count: Int(min(UInt64(1 << 20), range.upperBound - range.lowerBound)))
        var position = range.lowerBound
        while position < range.upperBound {
            let wanted = Int(min(UInt64(buffer.count), range.upperBound - position))
            try unsafe buffer.withUnsafeMutableBufferPointer { space throws(RemoteError) in
                let piece = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: unsafe UnsafeMutableRawBufferPointer(space)[..<wanted])
                if try unsafe content.read(into: piece, at: position) != wanted {
                    throw RemoteError.local(.ioError, during: .spool)
                }
                do throws(Errno) { try unsafe target.write(UnsafeRawBufferPointer(piece), at: position) } catch {
                    throw RemoteError.local(error, during: .store)
                }
            }
            position += UInt64(wanted)
        }
    }

    public func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        try checkOpen(upload.path)
        let isWhole = try perform { () throws(Errno) in
            let staged = try staging.open(try stagingName(upload), .readWrite)
            if try staged.status().size == upload.size, try digest(of: staged) == upload.sha256 {
                try staged.sync()
                return true
            }
            // The copy is worthless; the spool has the bytes, and the next attempt starts from nothing.
            try staged.truncate(to: .zero)
            return false
        }
        if !isWhole { throw .verificationMismatch }
        return try publish(upload, try perform { () throws(Errno) in try stagingName(upload) })
    }

    /// What the exchange left in the staging place is the old content: it goes to `.replaced`.
    private func keepReplaced(_ upload: Upload) throws(Errno) {
        let staged = try stagingName(upload)
        if try status(of: staged, in: staging) == nil { return }
        try moveAside(staged, in: staging, path: upload.path, as: upload.id)
    }

    /// Moves a whole, verified, durable file into its place.
    private func publish(_ upload: Upload, _ staged: Name) throws(RemoteError) -> CommittedFile {
        guard let name = upload.path.name else { throw .invalidArgument }
        try perform { () throws(Errno) in
            let file = try staging.open(staged, .readWrite)
            // Without attributes the digest tells after a crash; it only takes longer.
            try? file.setAttribute(LocalStore.uploadAttribute, to: Array(upload.id.text.utf8))
            try file.setTimes(accessed: .keep, modified: .set(upload.modified))
            let target = try directory(upload.path.parent)
            do throws(Errno) { try staging.rename(staged, to: name, in: target, .noReplace) } catch {
                if error != .fileExists { throw error }
                if try target.status(of: name).isDirectory { throw .isDirectory }
                try staging.rename(staged, to: name, in: target, .exchange)
            }
            try settle(upload, file, in: target)
        }
        return CommittedFile(remoteID: upload.path.description, size: upload.size)
    }

    /// Makes a file in its place durable, with its name and those above it, and keeps what it replaced.
    private func settle(
        _ upload: Upload, _ file: borrowing OwnedDescriptor, in target: borrowing OwnedDescriptor
    ) throws(Errno) {
        try sync(file, upload.path)
        try sync(target, upload.path.parent)
        try keepReplaced(upload)
        try makeDurable(upload.path.parent)
    }

    private func sync(_ descriptor: borrowing OwnedDescriptor, _ path: RelativePath) throws(Errno) {
        try descriptor.sync()
        didSync(path)
    }
}

extension LocalStore {
    // MARK: - Sessions and names

    public func rename(_ path: RelativePath, to newPath: RelativePath, aside: UploadID) throws(RemoteError) {
        guard let name = path.name, let newName = newPath.name else { throw .invalidArgument }
        try checkOpen(path)
        try perform { () throws(Errno) in
            let source = try existingDirectory(path.parent)
            let target = try directory(newPath.parent)
            if try status(of: name, in: source) == nil, try status(of: newName, in: target) != nil {
                // Done before, perhaps not durably.
                return try settle(rename: path, source, to: newPath, target)
            }
            do throws(Errno) { try source.rename(name, to: newName, in: target, .noReplace) } catch {
                if error != .fileExists { throw error }
                if try target.status(of: newName).isDirectory { throw .isDirectory }
                // Both contents are committed; a crash in between leaves the old name, and the rename is done again.
                try moveAside(newName, in: target, path: newPath, as: aside)
                try source.rename(name, to: newName, in: target, .noReplace)
            }
            try settle(rename: path, source, to: newPath, target)
        }
    }

    private func settle(
        rename path: RelativePath, _ source: borrowing OwnedDescriptor, to newPath: RelativePath,
        _ target: borrowing OwnedDescriptor
    ) throws(Errno) {
        // What a directory made later under the old name needs is not known.
        durable.withLock { known in known = known.filter { !$0.isWithin(path) } }
        try sync(target, newPath.parent)
        try sync(source, path.parent)
        try makeDurable(newPath.parent)
    }

    public func complete(_ manifest: SessionManifest) throws(RemoteError) {
        let text = Array((manifest.json.text + "\n").utf8)
        try perform { () throws(Errno) in
            let final = try reserved(LocalStore.manifestName)
            let session = try directory(RelativePath([manifest.session]))
            if try status(of: final, in: session) != nil { return }
            let draft = try reserved("manifest-" + SHA256Digest(hashing: manifest.session.bytes).text)
            let file = try staging.open(draft, [.readWrite, .create, .truncate], mode: 0o600)
            try file.write(text, at: 0)
            try file.sync()
            try staging.rename(draft, to: final, in: session, .noReplace)
            try session.sync()
            try makeDurable(RelativePath([manifest.session]))
        }
    }

    /// An aborted session stays as it is; only the journal knows.
    public func abort(_ session: StoredDirectory) throws(RemoteError) {}

    /// A session with a manifest takes nothing more, whatever a journal says.
    func checkOpen(_ path: RelativePath) throws(RemoteError) {
        guard let session = path.components.first else { throw .invalidArgument }
        let isComplete = try perform { () throws(Errno) in
            guard let found = try status(of: session, in: root), found.isDirectory else { return false }
            return try status(
                of: try reserved(LocalStore.manifestName), in: try root.open(session, [.directory, .pathOnly])) != nil
        }
        if isComplete { throw .sessionClosed(.complete) }
    }

    // MARK: - Directories

    /// Moves what is replaced to `.replaced/<path>/@<upload>`, never over anything.
    func moveAside(_ name: Name, in directory: borrowing OwnedDescriptor, path: RelativePath, as id: UploadID)
        throws(Errno)
    {
        var place = try replaced.reopenDirectory()
        for component in path.components { place = try place.openOrMakeDirectory(component, mode: 0o700) }
        try directory.rename(name, to: try reserved("@" + id.text), in: place, .noReplace)
        let above = RelativePath([try reserved(".replaced")] + path.components)
        try sync(place, above)
        try makeDurable(above)
    }

    func directory(_ path: RelativePath) throws(Errno) -> OwnedDescriptor {
        var current = try root.reopenDirectory()
        for name in path.components { current = try current.openOrMakeDirectory(name, mode: 0o755) }
        return current
    }

    func existingDirectory(_ path: RelativePath) throws(Errno) -> OwnedDescriptor {
        try root.openBeneath(path, .directory)
    }

    func status(of name: Name, in directory: borrowing OwnedDescriptor) throws(Errno) -> FileStatus? {
        do throws(Errno) { return try directory.status(of: name) } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    private func file(_ name: Name, at path: RelativePath) throws(RemoteError) -> SpoolFile? {
        do throws(Errno) {
            return SpoolFile(name: name, descriptor: try existingDirectory(path.parent).open(name, .readOnly))
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw .local(error, during: .store)
        }
    }

    /// Makes the names of a directory and those above it durable, each once.
    private func makeDurable(_ path: RelativePath) throws(Errno) {
        var current = path
        var made: [RelativePath] = []
        while !current.isRoot {
            let checked = current
            if durable.withLock({ $0.contains(checked) }) { break }
            try sync(existingDirectory(current.parent), current.parent)
            made.append(checked)
            current = current.parent
        }
        // Known only when all above it is durable too: who finds one of them known looks no further.
        let done = made
        durable.withLock { known in
            if known.count + done.count > LocalStore.durableLimit { known = [] }
            known.formUnion(done)
        }
    }

    private func stagingName(_ upload: Upload) throws(Errno) -> Name { try reserved(upload.id.text) }

    func perform<Result: ~Copyable>(_ body: () throws(Errno) -> Result) throws(RemoteError) -> Result {
        do throws(Errno) { return try body() } catch {
            if error == .isDirectory { throw .isDirectory }
            throw .local(error, during: .store)
        }
    }
}

/// A name of ours as a file name.
private func reserved(_ text: String) throws(Errno) -> Name {
    do throws(NameError) { return try Name(text) } catch { throw .invalidArgument }
}
