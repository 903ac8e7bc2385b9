import SystemPackage
import Testing

@testable import FXMapping

@Suite struct PolicyTests {
    /// One letter for each answer, so that a policy is a line.
    enum Answer: String {
        case allow = "yes", version = "version", look = "look", move = "move", refuse = "EPERM", readOnly = "EROFS"
    }

    static func answer(_ verdict: Verdict) -> Answer? {
        switch verdict {
        case .allow: .allow
        case .keepVersionFirst: .version
        case .guardWrites: .look
        case .moveToVersions: .move
        case .refuse(.notPermitted, let rule): rule.isEmpty ? nil : .refuse
        case .refuse(.readOnlyFileSystem, let rule): rule.isEmpty ? nil : .readOnly
        case .refuse: nil
        }
    }

    /// The columns of the table below.
    static let changes: [Change] = [.removeName, .replaceName, .moveName, .truncate, .overwrite, .append, .hide]
    static let states: [String: SealState] = [
        "sealed": .sealed, "my draft": .draft(mine: true), "a draft": .draft(mine: false),
        "my backup": .backup(mine: true),
        "a backup": .backup(mine: false),
    ]

    static let table = """
        policy        | state     | removeName | replaceName | moveName | truncate | overwrite | append  | hide
        keep-versions | sealed    | EPERM      | version     | yes      | version  | version   | look    | yes
        keep-versions | my draft  | yes        | yes         | yes      | yes      | yes       | yes     | yes
        keep-versions | a draft   | EPERM      | EPERM       | EPERM    | yes      | yes       | yes     | yes
        keep-versions | my backup | move       | version     | yes      | version  | version   | look    | yes
        keep-versions | a backup  | EPERM      | version     | yes      | version  | version   | look    | yes
        keep-names    | sealed    | EPERM      | EPERM       | EPERM    | yes      | yes       | yes     | yes
        keep-names    | my draft  | yes        | yes         | yes      | yes      | yes       | yes     | yes
        keep-names    | a draft   | EPERM      | EPERM       | EPERM    | yes      | yes       | yes     | yes
        keep-names    | my backup | EPERM      | EPERM       | EPERM    | yes      | yes       | yes     | yes
        keep-names    | a backup  | EPERM      | EPERM       | EPERM    | yes      | yes       | yes     | yes
        append-only   | sealed    | EPERM      | EPERM       | EPERM    | EPERM    | EPERM     | look    | EPERM
        append-only   | my draft  | yes        | yes         | yes      | yes      | yes       | yes     | yes
        append-only   | a draft   | EPERM      | EPERM       | EPERM    | yes      | yes       | yes     | yes
        append-only   | my backup | EPERM      | EPERM       | EPERM    | EPERM    | EPERM     | look    | EPERM
        append-only   | a backup  | EPERM      | EPERM       | EPERM    | EPERM    | EPERM     | look    | EPERM
        write-once    | sealed    | EPERM      | EPERM       | EPERM    | EPERM    | EPERM     | EPERM   | EPERM
        write-once    | my draft  | yes        | yes         | yes      | yes      | yes       | yes     | yes
        write-once    | a draft   | EPERM      | EPERM       | EPERM    | yes      | yes       | yes     | yes
        write-once    | my backup | EPERM      | EPERM       | EPERM    | EPERM    | EPERM     | EPERM   | EPERM
        write-once    | a backup  | EPERM      | EPERM       | EPERM    | EPERM    | EPERM     | EPERM   | EPERM
        read-only     | sealed    | EROFS      | EROFS       | EROFS    | EROFS    | EROFS     | EROFS   | EROFS
        read-only     | my draft  | EROFS      | EROFS       | EROFS    | EROFS    | EROFS     | EROFS   | EROFS
        read-only     | a draft   | EROFS      | EROFS       | EROFS    | EROFS    | EROFS     | EROFS   | EROFS
        read-only     | my backup | EROFS      | EROFS       | EROFS    | EROFS    | EROFS     | EROFS   | EROFS
        read-only     | a backup  | EROFS      | EROFS       | EROFS    | EROFS    | EROFS     | EROFS   | EROFS
        """

    static func cells(_ line: Substring) -> [String] {
        line.split(separator: "|").map { cell in
            let words = cell.split(separator: " ")
            return words.joined(separator: " ")
        }
    }

    @Test func everyVerdictIsTheTables() throws {
        let lines = Self.table.split(separator: "\n")
        #expect(lines.count == 1 + Policy.allCases.count * Self.states.count)
        #expect(Self.cells(lines[0]).dropFirst(2) == Self.changes.map { "\($0)" }[...])
        #expect(Set(Self.changes) == Set(Change.allCases))
        var seen: Set<String> = []
        for line in lines.dropFirst() {
            let cells = Self.cells(line)
            let policy = try #require(Policy(rawValue: cells[0]))
            let state = try #require(Self.states[cells[1]])
            seen.insert("\(cells[0]) \(cells[1])")
            for (change, wanted) in zip(Self.changes, cells.dropFirst(2)) {
                #expect(
                    Self.answer(policy.verdict(on: change, of: state)) == Answer(rawValue: wanted),
                    "\(policy), \(change), \(cells[1])")
            }
        }
        #expect(seen.count == lines.count - 1)
    }

    /// What the flags of open(2) announce, for a sealed file: reads, appends, truncates.
    static let openings: [(OpenFlagsForWriting, [Policy: Answer])] = [
        (
            .init(reads: false, appends: false, truncates: false),
            [.keepVersions: .version, .keepNames: .allow, .appendOnly: .refuse, .writeOnce: .refuse]
        ),
        (
            .init(reads: true, appends: false, truncates: false),
            [.keepVersions: .version, .keepNames: .allow, .appendOnly: .refuse, .writeOnce: .refuse]
        ),
        (
            .init(reads: false, appends: true, truncates: false),
            [.keepVersions: .look, .keepNames: .allow, .appendOnly: .look, .writeOnce: .refuse]
        ),
        (
            .init(reads: true, appends: true, truncates: false),
            [.keepVersions: .version, .keepNames: .allow, .appendOnly: .look, .writeOnce: .refuse]
        ),
        (
            .init(reads: false, appends: true, truncates: true),
            [.keepVersions: .version, .keepNames: .allow, .appendOnly: .refuse, .writeOnce: .refuse]
        ),
        (
            .init(reads: true, appends: true, truncates: true),
            [.keepVersions: .version, .keepNames: .allow, .appendOnly: .refuse, .writeOnce: .refuse]
        ),
        (
            .init(reads: true, appends: false, truncates: true),
            [.keepVersions: .version, .keepNames: .allow, .appendOnly: .refuse, .writeOnce: .refuse]
        ),
    ]

    @Test(arguments: openings)
    func openingASealedFileIsTheStrongestChangeItAnnounces(flags: OpenFlagsForWriting, answers: [Policy: Answer]) {
        for (policy, wanted) in answers {
            #expect(Self.answer(policy.verdict(onOpening: flags, of: .sealed)) == wanted, "\(policy)")
            #expect(policy.verdict(onOpening: flags, of: .draft(mine: false)) == .allow)
        }
        #expect(Self.answer(Policy.readOnly.verdict(onOpening: flags, of: .draft(mine: true))) == .readOnly)
    }

    /// A stricter policy allows nothing that a weaker one refuses; so a change of policy takes no promise away.
    @Test func whatAStricterPolicyAllowsOfSealedBytesAWeakerOneAllows() {
        func rank(_ verdict: Verdict) -> Int {
            switch verdict {
            case .allow: 0
            case .keepVersionFirst, .guardWrites, .moveToVersions: 1
            case .refuse: 2
            }
        }
        for weak in Policy.allCases {
            for strict in Policy.allCases where strict.isAtLeastAsStrict(as: weak) {
                for change in Change.allCases {
                    #expect(
                        rank(strict.verdict(on: change, of: .sealed)) >= rank(weak.verdict(on: change, of: .sealed)),
                        "\(weak) to \(strict): \(change)")
                }
            }
        }
    }

    @Test func theOrderOfPoliciesIsPartial() {
        let ordered: [Policy] = [.appendOnly, .writeOnce, .readOnly]
        for (index, policy) in ordered.enumerated() {
            for later in ordered[index...] { #expect(later.isAtLeastAsStrict(as: policy)) }
            for earlier in ordered[..<index] { #expect(!earlier.isAtLeastAsStrict(as: policy)) }
            for base in [Policy.keepVersions, .keepNames] {
                #expect(policy.isAtLeastAsStrict(as: base))
                #expect(!base.isAtLeastAsStrict(as: policy))
            }
        }
        #expect(!Policy.keepVersions.isAtLeastAsStrict(as: .keepNames))
        #expect(!Policy.keepNames.isAtLeastAsStrict(as: .keepVersions))
    }
}
