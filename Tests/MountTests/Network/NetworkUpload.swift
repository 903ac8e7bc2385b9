import FXSystem
import Glibc
import ServiceFixtures
import Testing

/// Files written into a session of their own, and what was promised about each.
final class NetworkUpload: @unchecked Sendable {
    // `sealed` is written by the thread that performs, and read once that has ended.
    private let network: NetworkMount
    private let name: String
    private let circumstances: String
    private let contents: [String: [UInt8]]
    /// Of these `close`, or the rename to the final name, has answered 0.
    private(set) var sealed: Set<String> = []

    /// Makes the session.
    init(
        _ network: NetworkMount, _ name: String, _ circumstances: String, contents: [String: [UInt8]]
    ) throws {
        (self.network, self.name, self.circumstances) = (network, name, circumstances)
        self.contents = contents
        // A service that has just come back may want a moment.
        let made = waitUntil(seconds: 30) { [Outcome.ok, .exists].contains(Sys.mkdir(network.path(of: name))) }
        if !made { throw TestStopped("\(circumstances): no session \(name)") }
    }

    convenience init(
        _ network: NetworkMount, _ name: String, _ circumstances: String, _ random: inout SeededRandom,
        largest: Int? = nil
    ) throws {
        var contents = NetworkUpload.smallFiles(&random)
        // Several chunks, sent while it is written where that can be.
        if let largest { contents["large.bin"] = random.bytes(largest) }
        try self.init(network, name, circumstances, contents: contents)
    }

    /// One whose bytes the journal takes, and one that is larger and goes by way of a temporary name.
    static func smallFiles(_ random: inout SeededRandom) -> [String: [UInt8]] {
        ["one.bin": random.bytes(1), "part.bin": random.bytes(70_000)]
    }

    private var session: String { network.path(of: name) }

    /// Writes every file, in the order of their names.
    func perform() { for file in contents.keys.sorted() { perform(file) } }

    /// - Returns: whether it was sealed.
    @discardableResult func perform(_ file: String) -> Bool {
        // One goes by way of a temporary name.
        let target = "\(session)/\(file)"
        let path = file == "part.bin" ? "\(target).part" : target
        guard (try? Sys.write(path, contents[file] ?? [])) != nil else { return false }
        guard path == target || Sys.rename(path, target).succeeded else { return false }
        sealed.insert(file)
        return true
    }

    /// Until everything is at the service, or the daemon is gone.
    func waitForService() {
        _ = try? network.mounted.fxmount(["wait", session, "--timeout", "20s"], seconds: 30)
    }

    /// What was sealed and is not at the service. Not for a service that only the mount can tell about.
    func outstanding() throws -> Set<String> {
        let held = try network.files(in: name)
        return sealed.filter { held[$0] == nil }
    }

    /// Every sealed file is at the service once and whole, and so is whatever else is there.
    func verify() throws {
        let waited = try network.mounted.fxmount(["wait", session, "--timeout", "60s"], seconds: 70)
        #expect(waited.code == 0, "\(circumstances): \(waited)")
        let held = try network.files(in: name)
        for file in sealed {
            #expect(held[file] == [sha256Text(contents[file] ?? [])], "\(circumstances): \(file)")
        }
        for (file, digests) in held {
            #expect(contents[file].map { [sha256Text($0)] } == digests, "\(circumstances): \(file) was not to be there")
        }
        // What was given up is forgotten in the background.
        let isClean = try waitUntil(seconds: 20) { try network.leftovers().isEmpty }
        let left = try network.leftovers()
        #expect(isClean, "\(circumstances): \(left)")
    }
}
