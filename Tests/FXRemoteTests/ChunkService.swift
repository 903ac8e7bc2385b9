import FXSystem
import Synchronization
import SystemPackage

@testable import FXRemote

/// A service on disk that takes chunks in any order and while a file is written, as S3 does: for pictures of a crash.
///
/// ```
/// DIR/visible/<path>          committed files, `/` written as `|`; an attribute tells which upload made it
/// DIR/parts/<note>/<offset>   chunks of unfinished uploads
/// DIR/replaced/<path>@<id>    what a newer content took the place of
/// ```
final class ChunkService: Backend {
    let facts: BackendFacts
    private let path: String
    private let notes = Atomic<Int>(0)
    private static let mark = "user.test.upload"

    init(path: String, chunk: UInt64, parallel: Int = 4) {
        self.path = path
        var facts = BackendFacts()
        facts.needsSizeFirst = false
        facts.completesGroups = true
        facts.preferredChunk = ByteCount(chunk)
        facts.parallelChunks = parallel
        facts.uploadsWhileWriting = true
        self.facts = facts
        for name in ["", "/visible", "/parts", "/replaced"] { run("mkdir", "-p", path + name) }
    }

    private func directory(_ name: String) throws(RemoteError) -> OwnedDescriptor {
        do throws(Errno) { return try OwnedDescriptor.open(absolute: path + "/" + name, .directory) } catch {
            if error == .noSuchFileOrDirectory { throw .expired }
            throw .local(error, during: .store)
        }
    }

    private func name(_ text: String) -> Name { (try? Name(text)) ?? Name(constant: "bad") }

    private func flat(_ path: RelativePath) -> String { path.description.replacing("/", with: "|") }

    private func put(_ bytes: [UInt8], as text: String, in directory: borrowing OwnedDescriptor) throws(RemoteError) {
        do throws(Errno) {
            let file = try directory.open(name("." + text), [.readWrite, .create, .truncate], mode: 0o600)
            try file.write(bytes, at: 0)
            try directory.rename(name("." + text), to: name(text), in: directory, .replace)
        } catch { throw .local(error, during: .store) }
    }

    private func bytes(of text: String, in directory: borrowing OwnedDescriptor) throws(RemoteError) -> [UInt8]? {
        do throws(Errno) {
            let file = try directory.open(name(text), .readOnly)
            return try file.read(Int(try file.status().size.rawValue), at: 0)
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw .local(error, during: .store)
        }
    }

    private func parts(_ note: String) throws(RemoteError) -> [UInt64: [UInt8]] {
        let directory = try directory("parts/" + note)
        var found: [UInt64: [UInt8]] = [:]
        for name in (try? directory.entryNames()) ?? [] {
            if let offset = UInt64(name.description) {
                found[offset] = try bytes(of: name.description, in: directory)
            }
        }
        return found
    }

    func prepare() throws(RemoteError) {}
    func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        path.description
    }

    func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        let visible = try directory("visible")
        if let made = try? visible.open(name(flat(upload.path)), .readOnly).attribute(ChunkService.mark),
            made == Array(upload.id.text.utf8)
        {
            return .committed(CommittedFile(remoteID: upload.id.text, size: upload.size))
        }
        guard let note = upload.note else { return .nothing }
        do throws(RemoteError) {
            return .partial(ByteRanges(try parts(note).map { $0.key..<$0.key + UInt64($0.value.count) }))
        } catch {
            if error == .expired { return .nothing }
            throw error
        }
    }

    func begin(_ upload: Upload) throws(RemoteError) -> String? {
        if let note = upload.note {
            _ = try directory("parts/" + note)
            return note
        }
        let note = upload.id.text + "+\(notes.wrappingAdd(1, ordering: .relaxed).newValue)"
        let parts = try directory("parts")
        do throws(Errno) { try parts.makeDirectory(name(note), mode: 0o700) } catch {
            throw .local(error, during: .store)
        }
        return note
    }

    func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        var chunk = [UInt8](repeating: 0, count: Int(range.upperBound - range.lowerBound))
        let count = try unsafe chunk.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
            try unsafe content.read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
        }
        if count != chunk.count { throw .local(.ioError, during: .spool) }
        try put(chunk, as: "\(range.lowerBound)", in: try directory("parts/" + (upload.note ?? "none")))
    }

    func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        let note = upload.note ?? "none"
        let parts = try parts(note)
        var whole: [UInt8] = []
        while UInt64(whole.count) < upload.size.rawValue, let part = parts[UInt64(whole.count)] { whole += part }
        if SHA256Digest(hashing: whole) != upload.sha256 { throw .verificationMismatch }
        let visible = try directory("visible")
        if let old = try bytes(of: flat(upload.path), in: visible) {
            try put(old, as: flat(upload.path) + "@" + upload.id.text, in: try directory("replaced"))
        }
        // In one step, as a service's commit is: a picture taken in the middle of it shows all or nothing.
        do throws(Errno) {
            let staging = try OwnedDescriptor.open(absolute: path + "/parts/" + note, .directory)
            let file = try staging.open(name("whole"), [.readWrite, .create, .truncate], mode: 0o600)
            try file.write(whole, at: 0)
            try file.setAttribute(ChunkService.mark, to: Array(upload.id.text.utf8))
            try staging.rename(name("whole"), to: name(flat(upload.path)), in: visible, .replace)
        } catch { throw .local(error, during: .store) }
        run("rm", "-r", path + "/parts/" + note)
        return CommittedFile(remoteID: upload.id.text, size: upload.size)
    }

    func discard(_ upload: Upload) throws(RemoteError) {
        if let note = upload.note { run("rm", "-rf", path + "/parts/" + note) }
    }

    func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent { throw .notSupported }
    func complete(_ manifest: SessionManifest) throws(RemoteError) {}
    func abort(_ session: StoredDirectory) throws(RemoteError) {}
    func space() throws(RemoteError) -> FileSystemSpace { try InMemoryService().space() }
}
