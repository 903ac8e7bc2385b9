/// A small file system of its own for the length of a test; root only.
func withSmallDisk(_ mebibytes: Int, _ body: (String) throws -> Void) throws {
    let path = try Scratch.directory("small")
    try sh("mount -t tmpfs -o size=\(mebibytes)m,mode=755 tmpfs '\(path)'")
    defer {
        _ = try? run(["umount", "-l", path])
        Scratch.remove(path)
    }
    try body(path)
}
