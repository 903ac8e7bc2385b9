internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// The directory of unfinished content: one file per revision, named by random digits.
///
/// Every file carries its path in an extended attribute, written once and without a sync: after a crash between the
/// creation and the first journal record it tells whose bytes these are.
final class Spool: Sendable {
    private let directory: OwnedDescriptor
    private let recovered: OwnedDescriptor
    private let spares: SpareFiles
    private let prefix: String
    private let counter = Atomic<UInt64>(0)

    private static let pathAttribute = "user.fxmount.path"
    private static let incompleteAttribute = "user.fxmount.incomplete"
    /// At the end of the name of what is recovered without its beginning.
    private static let incompleteEnding = Array(".incomplete".utf8)

    /// Makes `spool/`, `spare/` and `recovered/` in the state directory, and empties `spare/`.
    init(stateDirectory path: String) throws(RemoteError) {
        do throws(Errno) {
            let stateDirectory = try OwnedDescriptor.open(absolute: path, .directory)
            directory = try Spool.directory("spool", in: stateDirectory)
            recovered = try Spool.directory("recovered", in: stateDirectory)
            spares = try SpareFiles(try Spool.directory("spare", in: stateDirectory), beside: directory)
        } catch { throw .local(error, during: .spool) }
        var generator = SystemRandomNumberGenerator()
        prefix = String(generator.next() as UInt64, radix: 16)
    }

    private static func directory(_ name: String, in parent: borrowing OwnedDescriptor) throws(Errno) -> OwnedDescriptor
    {
        guard let name = try? Name(name) else { throw .invalidArgument }
        return try parent.openOrMakeDirectory(name, mode: 0o700)
    }

    /// A name no other upload has had or will have: random per start, counted within it.
    func newUploadID() -> UploadID {
        UploadID("\(prefix)-\(counter.wrappingAdd(1, ordering: .relaxed).newValue)")
    }

    /// True of an upload that this run has made.
    func isOwn(_ upload: UploadID) -> Bool { upload.text.hasPrefix(prefix + "-") }

    func create(_ upload: UploadID, path: RelativePath) throws(RemoteError) -> SpoolFile {
        do throws(Errno) {
            guard let name = try? Name(upload.text) else { throw .invalidArgument }
            let attribute = path.bytes
            let spare = try spares.take(as: name, in: directory) { file throws(Errno) in
                try file.setAttribute(Spool.pathAttribute, to: attribute)
            }
            if let spare { return SpoolFile(name: name, descriptor: spare) }
            let made = try directory.open(name, [.readWrite, .create, .exclusive], mode: 0o600)
            // Only a hint for recovery: a file system without attributes loses the hint, not the bytes.
            try? made.setAttribute(Spool.pathAttribute, to: attribute)
            return SpoolFile(name: name, descriptor: made)
        } catch { throw .local(error, during: .spool) }
    }

    /// - Parameter uses: of the content, if its spool file is ever to be used again.
    func open(_ name: Name, uses: SpoolUses? = nil) throws(RemoteError) -> SpoolFile {
        // Before it is opened: see `SpoolUses`.
        uses?.begin()
        do throws(Errno) {
            let descriptor = try directory.open(name, .readWrite)
            return SpoolFile(name: name, descriptor: descriptor, uses: uses)
        } catch {
            uses?.end()
            throw .local(error, during: .spool)
        }
    }

    /// Gives the spool file of a sealed upload the bytes it was sealed with, whatever a power cut left of it. Its name is
    /// durable after `syncDirectory`.
    func restore(_ upload: UploadID, _ bytes: [UInt8]) throws(RemoteError) {
        do throws(Errno) {
            guard let name = try? Name(upload.text) else { throw .invalidArgument }
            let file = try directory.open(name, [.readWrite, .create], mode: 0o600)
            let isWhole = try file.status().size.rawValue == UInt64(bytes.count)
            let found = isWhole ? try file.read(bytes.count, at: 0) : nil
            if found != bytes {
                try unsafe bytes.withUnsafeBufferPointer { buffer throws(Errno) in
                    try unsafe file.write(UnsafeRawBufferPointer(buffer), at: 0)
                }
                try file.truncate(to: ByteCount(UInt64(bytes.count)))
            }
            try file.syncData()
        } catch { throw .local(error, during: .recovery) }
    }

    /// Its beginning is about to go: what is recovered of it after a crash is not taken for the whole.
    func markIncomplete(_ file: SpoolFile) {
        // As with the path: only a hint, and the journal has it too, a moment later.
        try? file.descriptor.setAttribute(Spool.incompleteAttribute, to: Array("1".utf8))
    }

    func isIncomplete(_ name: Name) -> Bool {
        guard let file = try? directory.open(name, .readOnly) else { return false }
        return (try? file.attribute(Spool.incompleteAttribute)) != nil
    }

    func remove(_ name: Name, because reason: SpoolRemoval.Reason) throws(RemoteError) {
        do throws(Errno) { try SpoolRemoval.remove(name, from: directory, because: reason) } catch {
            throw .local(error, during: .spool)
        }
    }

    /// Takes the spool file of a small committed content away, as `remove` does, and keeps it empty for a later draft if
    /// nobody has it open.
    /// - Parameter file: the one open file that the caller has of it, if any.
    func reuse(_ name: Name, file: SpoolFile?, uses: SpoolUses) throws(RemoteError) {
        do throws(Errno) {
            if try spares.keep(name, file: file, from: directory, uses: uses) { return }
        } catch { throw .local(error, during: .spool) }
        try remove(name, because: .committed)
    }

    /// Removes the spare files and keeps no more.
    func close() throws(RemoteError) {
        do throws(Errno) { try spares.close() } catch { throw .local(error, during: .spool) }
    }

    func names() throws(RemoteError) -> [Name] {
        do throws(Errno) { return try directory.entryNames() } catch { throw .local(error, during: .spool) }
    }

    func size(of name: Name) -> ByteCount? { (try? directory.status(of: name))?.size }

    /// The path a file was created under; nil when it does not tell.
    func recordedPath(of name: Name) -> RelativePath? {
        guard let file = try? directory.open(name, .readOnly), let bytes = try? file.attribute(Spool.pathAttribute)
        else { return nil }
        return try? RelativePath(validating: bytes)
    }

    /// Moves bytes that are not sent any more to `recovered/<path>`, never over anything, and durably: the journal
    /// forgets them next. Returns where they are.
    func recover(_ name: Name, as path: RelativePath) throws(RemoteError) -> RelativePath {
        do throws(Errno) {
            try directory.open(name, .readOnly).syncData()
            var place = try recovered.reopenDirectory()
            for component in path.components.dropLast() {
                place = try place.openOrMakeDirectory(component, mode: 0o700)
            }
            let wanted = isIncomplete(name) ? Spool.incomplete(path.name ?? name) : path.name ?? name
            var attempt = wanted
            var number = 1
            while true {
                do throws(Errno) {
                    try directory.rename(name, to: attempt, in: place, .noReplace)
                    break
                } catch {
                    // A file of the same name was recovered before; a directory of that name counts the same.
                    guard error == .fileExists, number < 10_000 else { throw error }
                    number += 1
                    let suffix = Array(".\(number)".utf8)
                    guard
                        let next = try? Name(
                            validating: Array(wanted.bytes.prefix(Name.maximumLength - suffix.count)) + suffix)
                    else { throw error }
                    attempt = next
                }
            }
            try place.sync()
            return path.parent.appending(attempt)
        } catch { throw .local(error, during: .recovery) }
    }

    private static func incomplete(_ name: Name) -> Name {
        let kept = name.bytes.prefix(Name.maximumLength - incompleteEnding.count)
        return (try? Name(validating: Array(kept) + incompleteEnding)) ?? name
    }

    func recoveredFiles() throws(RemoteError) -> [RelativePath] {
        do throws(Errno) {
            var found: [RelativePath] = []
            // A list and not a recursion: what lies there may be deep.
            var waiting = [RelativePath()]
            while let path = waiting.popLast() {
                let directory = try recovered.openBeneath(path, .directory)
                for name in try directory.entryNames() {
                    let next = path.appending(name)
                    if try directory.status(of: name).isDirectory { waiting.append(next) } else { found.append(next) }
                }
            }
            return found.sorted()
        } catch { throw .local(error, during: .recovery) }
    }

    func space() throws(RemoteError) -> FileSystemSpace {
        do throws(Errno) { return try directory.space() } catch { throw .local(error, during: .spool) }
    }

    /// True while more than so many bytes are free.
    func hasRoom(beyond bytes: UInt64) -> Bool {
        guard let space = try? space() else { return false }
        return space.available.rawValue > bytes
    }

    /// Makes new names durable.
    func syncDirectory() throws(RemoteError) {
        do throws(Errno) { try directory.reopenDirectory().sync() } catch { throw .local(error, during: .spool) }
    }
}

extension OwnedDescriptor {
    /// Opens a directory and makes it first if it is missing.
    borrowing func openOrMakeDirectory(_ name: Name, mode: UInt32) throws(Errno) -> OwnedDescriptor {
        do throws(Errno) { try makeDirectory(name, mode: mode) } catch {
            if error != .fileExists { throw error }
        }
        return try open(name, [.directory])
    }
}
