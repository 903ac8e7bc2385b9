import FXSystem
import Testing

@testable import FXMapping

@Suite struct StagingTests {
    private func isDraft(_ name: String, parent: String? = nil, exclusive: Bool = false, mode: UInt32 = 0o644) throws
        -> Bool
    {
        StagingPatterns.standard.matches(
            try Name(name), parent: try parent.map { try Name($0) }, exclusive: exclusive, mode: mode)
    }

    @Test func everyStandardTextIsAPattern() throws {
        #expect(try StagingPatterns(StagingPatterns.standardTexts) == .standard)
        #expect(StagingPatterns.standard.count == StagingPatterns.standardTexts.count)
    }

    @Test(arguments: [
        "a.part", "b.tmp", "index.lock", "notes.txt~", ".notes.swp", ".notes.swpx", "4913", ".goutputstream-ABC",
        ".~lock.report.odt#", "tmp_obj_x1", "db-journal", "db-wal", "db-shm",
    ])
    func aTemporaryNameIsADraft(name: String) throws { #expect(try isDraft(name)) }

    @Test(arguments: ["a", "part", "a.parts", "swp", "4913x", "lock", "~a", "journal"])
    func anOrdinaryNameIsNot(name: String) throws { #expect(try !isDraft(name)) }

    @Test func gitsTemporaryFilesAreDraftsInItsDirectoryOnly() throws {
        #expect(try isDraft("tABC123", parent: ".git"))
        #expect(try isDraft("gc.pid", parent: ".git"))
        #expect(try !isDraft("tABC123", parent: "src"))
        #expect(try !isDraft("gc.pid"))
    }

    @Test func rsyncsNamesAreDraftsWhenMadeLikeMkstemp() throws {
        #expect(try isDraft(".file.aB3xY9", exclusive: true, mode: 0o600))
        #expect(try !isDraft(".app.config", exclusive: false, mode: 0o644))
        #expect(try !isDraft(".app.config", exclusive: true, mode: 0o644))
        #expect(try !isDraft(".file.aB3xY", exclusive: true, mode: 0o600))
    }

    @Test(arguments: [
        ("", PatternFault.empty), ("*", .matchesEverything), ("***", .matchesEverything), ("[a", .openSet),
        ("[z-a]", .reversedRange),
        ("a\\", .trailingBackslash), ("a/b/c", .badParent), ("/a", .badParent), ("a/", .badParent),
        ("a\u{0}", .containsNUL),
    ])
    func aBadPatternIsNamed(text: String, fault: PatternFault) {
        #expect(throws: MappingError.invalidPattern(text, fault)) { try StagingPatterns(["*.tmp", text]) }
    }

    @Test func setsFollowGlob7() throws {
        let glob = try Glob(Array("[]a-c!][!0-9]".utf8))
        #expect(glob.matches(Array("]x".utf8)[...]))
        #expect(glob.matches(Array("b\u{ff}".utf8.prefix(2))[...]))
        #expect(!glob.matches(Array("d0".utf8)[...]))
        #expect(!glob.matches(Array("b5".utf8)[...]))
    }

    @Test func theMatcherAgreesWithTheDefinition() throws {
        var random = SeededGenerator()
        for _ in 0..<20_000 {
            let pattern = (0..<Int.random(in: 1...7, using: &random)).map { _ in
                Array("ab*?".utf8).randomElement(using: &random) ?? 97
            }
            let name = (0..<Int.random(in: 1...7, using: &random)).map { _ in
                Array("ab".utf8).randomElement(using: &random) ?? 97
            }
            if pattern.allSatisfy({ $0 == UInt8(ascii: "*") }) { continue }
            #expect(try Glob(pattern).matches(name[...]) == slowly(pattern[...], name[...]), "\(pattern) \(name)")
        }
    }

    @Test func aHostilePatternTakesNoTime() throws {
        let pattern = Array(String(repeating: "a*", count: 120).utf8) + [UInt8(ascii: "b")]
        let glob = try Glob(pattern)
        for _ in 0..<100 { #expect(!glob.matches([UInt8](repeating: UInt8(ascii: "a"), count: 255)[...])) }
    }

    private func slowly(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        guard let first = pattern.first else { return name.isEmpty }
        if first == UInt8(ascii: "*") {
            return slowly(pattern.dropFirst(), name) || (!name.isEmpty && slowly(pattern, name.dropFirst()))
        }
        guard let byte = name.first, first == byte || first == UInt8(ascii: "?") else { return false }
        return slowly(pattern.dropFirst(), name.dropFirst())
    }
}
