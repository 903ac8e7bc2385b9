internal import FXSystem

/// Inode numbers as users of the mount see them: the same at every mount, different for different files.
///
/// `st_dev` is one for the whole mount, so tools take two files with one number for hard links of each other. The
/// number of a mapped file is the backing one, mixed with the identity of its file system (f_fsid, which a file system
/// keeps); within one file system that is one to one. What has no inode of its own gets a number from its key.
enum InodeNumbers {
    /// - Parameter fileSystem: `f_fsid` of the file system the file is on.
    static func mapped(_ inode: UInt64, fileSystem: UInt64) -> UInt64 {
        inode ^ UInt64(salt(fileSystem)) << 48
    }

    static let root: UInt64 = 1
    static let types = virtual(1, 1)
    static let sessions = virtual(1, 2)
    static let control = virtual(1, 3)
    static func controlFile(_ index: Int) -> UInt64 { virtual(2, UInt64(index)) }
    static let controlSessions = virtual(1, 4)
    static func controlEntry(remote: Int, id: UInt64, document: UInt64) -> UInt64 {
        // 30 bits for the entry: two of them with one number are harmless, no tool copies from here.
        virtual(6, UInt64(remote) << 32 | (id << 2 | document) & 0xffff_ffff)
    }
    static func entity(_ id: Int64) -> UInt64 { virtual(3, UInt64(bitPattern: id)) }
    static func type(_ id: Int64) -> UInt64 { virtual(4, UInt64(bitPattern: id)) }
    static func remote(_ index: Int) -> UInt64 { virtual(5, UInt64(index)) }
    static func entry(remote: Int, id: UInt64) -> UInt64 { virtual(16 + UInt64(remote), id) }

    /// The upper 16 bits of everything virtual; no salt is equal to it.
    private static let virtualPrefix: UInt16 = 0x4658

    private static func virtual(_ kind: UInt64, _ id: UInt64) -> UInt64 {
        UInt64(virtualPrefix) << 48 | (kind & 0xff) << 40 | id & 0xff_ffff_ffff
    }

    private static func salt(_ fileSystem: UInt64) -> UInt16 {
        // splitmix64, so that similar ids fall apart.
        var mixed = fileSystem &+ 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        let folded = UInt16(truncatingIfNeeded: mixed ^ mixed >> 31)
        return folded == virtualPrefix ? folded &+ 1 : folded
    }
}
