//! The table of functions: name, arguments, meaning. Documentation and errors are made of it.

/// What one function is called and takes.
#[derive(Debug)]
pub struct FunctionRow {
    /// The function.
    pub function: Function,
    /// Its name in JSON.
    pub name: &'static str,
    /// Another name of it.
    pub alias: Option<&'static str>,
    /// How many arguments it takes at least.
    pub least: usize,
    /// And at most.
    pub most: usize,
    /// The arguments' names, where they may be given as an object.
    pub names: &'static [&'static str],
    /// What it is, for people.
    pub help: &'static str,
}

const MANY: usize = usize::MAX;

macro_rules! functions {
    ($($function:ident $name:literal $(or $alias:literal)? $least:literal..$most:tt
       $names:tt $help:literal;)*) => {
        /// A function of expressions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Function {
            $(#[doc = $help] $function,)*
        }

        /// Every function, in the order of the enum.
        pub const FUNCTIONS: &[FunctionRow] = &[
            $(FunctionRow {
                function: Function::$function,
                name: $name,
                alias: functions!(alias $($alias)?),
                least: $least,
                most: $most,
                names: &$names,
                help: $help,
            },)*
        ];
    };
    (alias) => { None };
    (alias $alias:literal) => { Some($alias) };
}

functions! {
    Add "$add" 1..MANY [] "the sum of numbers";
    Subtract "$subtract" 2..2 [] "the first number less the second";
    Multiply "$multiply" 1..MANY [] "the product of numbers";
    Divide "$divide" 2..2 [] "the first number by the second; of integers a float";
    Mod "$mod" 2..2 [] "what a division leaves; it has the sign of the first";
    Abs "$abs" 1..1 [] "a number without its sign";
    Ceil "$ceil" 1..1 [] "the whole number from a number up";
    Floor "$floor" 1..1 [] "the whole number from a number down";
    Round "$round" 1..2 [] "a number rounded to so many digits (0 unless given), ties to even";
    Sqrt "$sqrt" 1..1 [] "the square root, a float";
    Eq "$eq" 2..2 [] "whether two values are equal";
    Ne "$ne" 2..2 [] "whether two values are not equal";
    Gt "$gt" 2..2 [] "whether the first is greater, of one type";
    Gte "$gte" 2..2 [] "whether the first is greater or equal, of one type";
    Lt "$lt" 2..2 [] "whether the first is less, of one type";
    Lte "$lte" 2..2 [] "whether the first is less or equal, of one type";
    Cmp "$cmp" 2..2 [] "-1, 0 or 1, by the one order of all values";
    And "$and" 0..MANY [] "whether all conditions are true; stops at the first that is not";
    Or "$or" 0..MANY [] "whether any condition is true; stops at the first that is";
    Not "$not" 1..1 [] "whether a condition is not true";
    Cond "$cond" 3..3 ["if", "then", "else"] "the second value if the first is true, else the third";
    IfNull "$ifNull" 2..MANY [] "the first value that is not null";
    Switch "$switch" 2..MANY [] "the value of the first case that is true";
    Concat "$concat" 1..MANY [] "strings, one behind the other";
    Lower "$toLower" or "$lower" 1..1 [] "a string in small letters";
    Upper "$toUpper" or "$upper" 1..1 [] "a string in capital letters";
    Substr "$substr" or "$substrCP" 3..3 [] "of a string, from a character on, so many characters";
    Length "$length" or "$strLenCP" 1..1 [] "characters of a string, bytes of bytes, elements of an array or map";
    Split "$split" 2..2 [] "the parts of a string between separators";
    Trim "$trim" 1..2 ["input", "chars"] "a string without blanks (or these characters) at both ends";
    Ltrim "$ltrim" 1..2 ["input", "chars"] "a string without blanks (or these characters) at its beginning";
    Rtrim "$rtrim" 1..2 ["input", "chars"] "a string without blanks (or these characters) at its end";
    ReplaceAll "$replaceAll" 3..3 ["input", "find", "replacement"] "a string with each occurrence replaced";
    Year "$year" 1..1 [] "the year of a time or date, UTC";
    Month "$month" 1..1 [] "the month, 1 to 12";
    Day "$dayOfMonth" or "$day" 1..1 [] "the day of the month, 1 to 31";
    Weekday "$isoDayOfWeek" or "$weekday" 1..1 [] "the day of the week, 1 (Monday) to 7";
    Hour "$hour" 1..1 [] "the hour, 0 to 23; of a date 0";
    Minute "$minute" 1..1 [] "the minute, 0 to 59";
    Second "$second" 1..1 [] "the second, 0 to 59";
    DateTrunc "$dateTrunc" 2..3 ["date", "unit", "binSize"] "the beginning of the unit (\"month\", …), or of the bin of so many units, that a time or date lies in";
    DateDiff "$dateDiff" 3..3 ["startDate", "endDate", "unit"] "how many times a new unit (\"day\", …) begins from the first to the second";
    DateAdd "$dateAdd" 3..3 ["startDate", "unit", "amount"] "a time or date, so many units later";
    Size "$size" 1..1 [] "how many elements an array has";
    ElementAt "$arrayElemAt" or "$elementAt" 2..2 [] "the element at a position, or null";
    First "$first" 1..1 [] "the first element of an array, or null";
    Last "$last" 1..1 [] "the last element of an array, or null";
    Slice "$slice" 2..3 [] "of an array the first n elements (the last n when negative), or n from a position on";
    In "$in" 2..2 [] "whether a value is an element of an array";
    Contains "$contains" 2..2 [] "whether an array has a value as its element";
    Pluck "$pluck" 2..2 [] "of each element of an array what a path (a string) leads to";
    ConcatArrays "$concatArrays" 1..MANY [] "arrays, one behind the other";
    Sum "$sum" 1..MANY [] "the sum of an array's numbers, or of numbers; nulls are left out, of none 0";
    Avg "$avg" 1..MANY [] "the mean of an array's numbers, or of numbers";
    Min "$min" 1..MANY [] "the least element of an array, or of values";
    Max "$max" 1..MANY [] "the greatest element of an array, or of values";
    Type "$type" 1..1 [] "the name of a value's type";
    ToString "$toString" 1..1 [] "a value as text";
    ToInt "$toInt" or "$toLong" 1..1 [] "an integer: of a number what is before the point, of a string, of true 1";
    ToFloat "$toFloat" or "$toDouble" 1..1 [] "a float, of a number or a string";
    ToDecimal "$toDecimal" 1..1 [] "a decimal, of a number or a string";
    ToBool "$toBool" 1..1 [] "true or false: of a number whether it is not 0, of \"true\" or \"false\"";
    ToTime "$toTime" or "$toDate" 1..1 [] "a time: of a date its beginning, of a string, of an integer as milliseconds since 1970";
    ToDay "$toDay" 1..1 [] "a date, of a time or a string";
    ToUuid "$toUuid" 1..1 [] "a UUID, of a string";
}

impl Function {
    /// This function's row of [`FUNCTIONS`].
    pub fn row(self) -> &'static FunctionRow {
        &FUNCTIONS[self as usize]
    }

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The function of this name.
    pub fn from_name(name: &str) -> Option<Function> {
        let row = FUNCTIONS
            .iter()
            .find(|row| row.name == name || row.alias == Some(name));
        row.map(|row| row.function)
    }
}
