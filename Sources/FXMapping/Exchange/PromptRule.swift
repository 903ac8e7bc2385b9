/// Whether the user has to be asked for a directory, and what is shown first: the table of the File Exchange API, as a value.
public enum PromptRule: Sendable, Hashable {
    /// Map this directory, nobody is asked.
    case map(String)
    case ask(preselected: String)
    /// The type is mapped already and that is enough.
    case keep

    /// What the rules look at.
    public struct Facts: Sendable, Hashable {
        /// `initPath`, absolute; nil when none was given or when it does not exist or cannot be read.
        public var usablePath: String?
        public var wish: PromptWish
        /// Where the type is mapped now, as long as that directory can be read.
        public var mapped: String?
        /// The user's own directory, shown when there is nothing better.
        public var home: String

        public init(usablePath: String?, wish: PromptWish, mapped: String?, home: String) {
            self.usablePath = usablePath
            self.wish = wish
            self.mapped = mapped
            self.home = home
        }
    }

    /// `createType`: a usable path and no wish for a prompt maps at once; everything else asks, since it could only fail
    /// otherwise. A chooser opens at the present mapping, else at the path that was given, else at home.
    public static func creatingType(_ facts: Facts) -> PromptRule {
        if facts.wish == .onlyIfNeeded, let path = facts.usablePath { return .map(path) }
        return .ask(preselected: facts.mapped ?? facts.usablePath ?? facts.home)
    }

    /// `updateType`: always asks.
    public static func updatingType(_ facts: Facts) -> PromptRule {
        .ask(preselected: facts.mapped ?? facts.usablePath ?? facts.home)
    }

    /// `createTypeDirs`, and a `download` that may create its type: asks only when there is no mapping, whatever `modal`
    /// says.
    /// - Parameter isMapped: true also for a mapping whose directory is out of reach, which is no reason to ask.
    public static func needingType(isMapped: Bool, _ facts: Facts) -> PromptRule {
        isMapped ? .keep : .ask(preselected: facts.usablePath ?? facts.home)
    }
}
