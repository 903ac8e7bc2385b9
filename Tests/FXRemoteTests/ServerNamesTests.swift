import FXSystem
import Glibc
import Testing

@testable import FXRemote

/// What names of a service become here.
@Suite struct ServerNamesTests {
    private func shown(_ name: String) -> String {
        String(decoding: ServerNames.shown(Array(name.utf8)).bytes, as: UTF8.self)
    }

    private func names(_ entries: [(String, String)], taken: Set<Name> = []) -> [String] {
        ServerNames.names(
            of: entries.map { ServerNames.Entry(name: Array($0.0.utf8), remoteID: $0.1) }, taken: taken
        ).map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    @Test(arguments: ["a", "report.txt", "ä ö", ".hidden", "...", "-rf", "a%2Fb", "語", "क्\u{200d}ष", "👩\u{200d}🔬"])
    func `what is a file name stays as it is`(name: String) {
        #expect(shown(name) == name)
    }

    @Test(arguments: [
        ("", "unnamed"), (".", "%2E"), ("..", "%2E%2E"), ("a/b", "a%2Fb"), ("a\0b", "a%00b"), ("a\nb", "a%0Ab"),
        ("\u{7f}", "%7F"), ("\u{85}", "%C2%85"), ("a\u{202e}txt.exe", "a%E2%80%AEtxt.exe"), ("\u{2028}", "%E2%80%A8"),
        ("\u{feff}a", "%EF%BB%BFa"), ("../etc", "..%2Fetc"),
    ])
    func `what is none, or would deceive, can be seen and typed`(name: String, expected: String) {
        #expect(shown(name) == expected)
    }

    @Test func `bytes that are no text are carried as bytes`() {
        let raw: [UInt8] = [0xff, 0x61, 0xc3, 0x2f, 0xe2, 0x80, 0x0a]
        #expect(
            ServerNames.shown(raw).bytes == [0xff, 0x61, 0xc3] + Array("%2F".utf8) + [0xe2, 0x80] + Array("%0A".utf8))
    }

    @Test func `the newest of several with one name has it, and the others a tag of their id`() {
        let entries = ["7": 5, "17": 9, "27": 1].map { id, time in
            ServerNames.Entry(
                name: Array("a.txt".utf8), remoteID: id, modified: Timestamp(seconds: Int64(time)))
        }
        let named = Dictionary(
            uniqueKeysWithValues: zip(
                entries.map(\.remoteID), ServerNames.names(of: entries, taken: []).map(\.description)))
        #expect(named == ["17": "a.txt", "7": "a~7.txt", "27": "a~27.txt"])
        #expect(names([("a", "10"), ("a", "9")]) == ["a", "a~9"])
    }

    @Test func `a long or odd id becomes a digest, and a tag never meets another name`() {
        let found = names([
            ("a", "x/y"), ("a", "zzzz"), ("a~\(SHA256Digest(hashing: "x/y".utf8).text.prefix(10))", "1"),
        ])
        #expect(Set(found).count == 3)
        #expect(found[1] == "a")
        #expect(found[0].hasPrefix("a~"))
    }

    @Test func `names that are reserved or taken are given to nobody`() throws {
        #expect(names([("a", "1"), ("b", "2")], taken: [try Name("a")]) == ["a~1", "b"])
    }

    @Test func `a kept name is nobody else's`() throws {
        let entries = [
            ServerNames.Entry(name: Array("f".utf8), remoteID: "2", modified: Timestamp(seconds: 9)),
            ServerNames.Entry(
                name: Array("f".utf8), remoteID: "1", modified: Timestamp(seconds: 1), kept: try Name("f")),
        ]
        #expect(ServerNames.names(of: entries, taken: []).map(\.description) == ["f~2", "f"])
    }

    @Test(arguments: [256, 300, 1024])
    func `a long name is cut between characters and keeps its ending`(length: Int) {
        let long = String(repeating: "é", count: length / 2) + ".json"
        let found = names([(long, "1"), (long, "2")])
        #expect(Set(found).count == 2)
        for name in found {
            #expect(name.utf8.count <= 255 && name.utf8.count > 200)
            #expect(name.hasSuffix(".json") && !name.contains("\u{fffd}"))
        }
    }

    @Test func `an escape is not cut in half`() {
        for length in 80..<90 {
            let found = names([(String(repeating: "\n", count: length) + "x", "1")])[0]
            let stem = found.split(separator: "~")[0].dropFirst(0).replacing("x", with: "")
            #expect(stem.utf8.count % 3 == 0, "\(found)")
        }
    }

    @Test func `whatever a service sends, every entry has a safe name of its own, whatever the order`() {
        let seed = seeds(1)[0]
        print("FXMOUNT_SEED=\(seed)")
        var random = SeededGenerator(seed)
        let alphabet: [[UInt8]] = [
            [0x2f], [0], [0x2e], [0x61], [0x61], [0x7e], [0x31], [0xff], [0xc3], [0xa9], Array("\u{202e}".utf8), [0x0a],
            Array("%2F".utf8), Array("é".utf8), [],
        ]
        for _ in 0..<400 {
            var entries: [ServerNames.Entry] = []
            for id in 0..<Int.random(in: 1...12, using: &random) {
                let isLong = Int.random(in: 0..<6, using: &random) == 0
                let count = isLong ? Int.random(in: 200...400, using: &random) : Int.random(in: 0...4, using: &random)
                let name = (0..<count).flatMap { _ in alphabet.randomElement(using: &random) ?? [] }
                let time =
                    Bool.random(using: &random) ? Timestamp(seconds: Int64.random(in: 0...2, using: &random)) : nil
                entries.append(ServerNames.Entry(name: name, remoteID: "\(id)", modified: time))
            }
            let taken = Set([Name(constant: "a"), Name(constant: "%2E")])
            let names = ServerNames.names(of: entries, taken: taken)
            #expect(Set(names).count == entries.count)
            #expect(Set(names).isDisjoint(with: taken))
            for name in names {
                #expect((try? Name(validating: name.bytes)) == name)
                #expect(name.bytes.allSatisfy { $0 > 0x1f && $0 != 0x7f })
            }
            let order = entries.indices.shuffled(using: &random)
            let again = ServerNames.names(of: order.map { entries[$0] }, taken: taken)
            for (position, index) in order.enumerated() { #expect(again[position] == names[index]) }
        }
    }
}
