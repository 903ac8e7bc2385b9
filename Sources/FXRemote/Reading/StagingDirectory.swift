internal import FXSystem
internal import SystemPackage

/// Where files of services without ranges are kept while they are read: files without a name, so nothing is left when
/// their last reader ends, however that ends. Made when it is first needed.
struct StagingDirectory: Sendable {
    private let path: String

    /// What stays free of the file system, as a part of all of it: others need room, too.
    private static let reserve: UInt64 = 20

    init(path: String) { self.path = path }

    /// An empty file with room for so many bytes.
    /// - Throws: ENOSPC when there is no room, before anything is brought.
    func makeFile(size: ByteCount) throws(RemoteError) -> OwnedDescriptor {
        do throws(Errno) {
            let directory = try StagingDirectory.openOrMake(path)
            let space = try directory.space()
            if space.available < size + StagingDirectory.reserved(of: space) { throw .noSpace }
            let file = try directory.openUnnamed(.readWrite, mode: 0o600)
            if size > .zero {
                do throws(Errno) { try file.allocate(offset: 0, length: size.rawValue) } catch {
                    // A file system that cannot reserve says so when it is written to.
                    if error != .notSupportedOnSocket && error != .noFunction && error != .notSupported { throw error }
                }
            }
            return file
        } catch { throw .local(error, during: .cache) }
    }

    static func reserved(of space: FileSystemSpace) -> ByteCount {
        ByteCount(space.blocks / reserve &* space.fragmentSize)
    }

    /// With the directories above it.
    static func openOrMake(_ path: String) throws(Errno) -> OwnedDescriptor {
        do throws(Errno) { return try OwnedDescriptor.open(absolute: path, .directory) } catch {
            guard error == .noSuchFileOrDirectory, let end = path.lastIndex(of: "/"), end > path.startIndex,
                let name = try? Name(String(path[path.index(after: end)...]))
            else { throw error }
            return try openOrMake(String(path[..<end])).openOrMakeDirectory(name, mode: 0o700)
        }
    }
}
