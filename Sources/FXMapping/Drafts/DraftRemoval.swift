internal import FXSystem
internal import Glibc
internal import SystemPackage

/// The one place under FXMapping where the file behind a name can stop being there.
///
/// Proof that no sealed byte goes. Both calls are made inside the turn of their directories (DirectoryTurns), so that
/// through the mount nobody can put another file at the name meanwhile. Both look at the inode at the name again and
/// stop when it is not the one the decision was about. And both go on only if the bytes are a draft, or if the file
/// has another name: an ordinary one, or the version that was just linked.
enum DraftRemoval {
    /// What the decision said of the bytes.
    enum Bytes {
        /// They are a draft: they may go.
        case unsealed
        /// They are sealed: another name must remain.
        case sealed
    }

    /// Takes `name` away. For a directory the kernel makes sure that it is empty (rmdir(2)).
    /// - Throws: ESTALE when the name is another file now, EPERM when it is the last name of sealed bytes, what
    ///   unlinkat(2) says.
    static func remove(
        _ name: Name, of file: FileStatus, bytes: Bytes, in directory: borrowing OwnedDescriptor
    ) throws(Errno) {
        try checkNothingSealedGoes(name, of: file, bytes: bytes, in: directory)
        let flags = file.isDirectory ? AT_REMOVEDIR : 0
        let number = directory.rawValue
        let result = unsafe name.withCString { unsafe unlinkat(number, $0, flags) }
        if result != 0 { throw Errno(rawValue: errno) }
    }

    /// Renames onto `newName`, whose file `target` loses that name.
    /// - Throws: as `remove`, and what renameat2(2) says.
    static func replace(
        _ target: FileStatus, bytes: Bytes, at newName: Name, in newDirectory: borrowing OwnedDescriptor,
        by name: Name, in directory: borrowing OwnedDescriptor
    ) throws(Errno) {
        try checkNothingSealedGoes(newName, of: target, bytes: bytes, in: newDirectory)
        try directory.rename(name, to: newName, in: newDirectory, .replace)
    }

    private static func checkNothingSealedGoes(
        _ name: Name, of file: FileStatus, bytes: Bytes, in directory: borrowing OwnedDescriptor
    ) throws(Errno) {
        let present = try directory.status(of: name)
        guard present.identity == file.identity, present.born == file.born else { throw .staleNFSFileHandle }
        if bytes == .sealed && present.linkCount < 2 && !present.isDirectory { throw .notPermitted }
    }
}
